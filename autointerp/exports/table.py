"""One row a feature: what a run says of it beside what the dump says; docs/exports.md lists the columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, tee

import numpy as np
import pyarrow as pa

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump
from autointerp.errors import RunError
from autointerp.job import dump_of, only
from autointerp.remote.path import Location
from autointerp.reports.labels import scorer_order
from autointerp.runs.by_feature import EXPLAIN, SCORE, ByFeature, Verdicts
from autointerp.runs.folder import Run
from autointerp.runs.index import Ints, judging_of
from autointerp.runs.judgings import labels
from autointerp.runs.tables import EXPLANATIONS, SCORES, explained_row, scored_row
from autointerp.schema import Explanation, FailureRecord, Feature, FeatureRow, Scored, Unscored
from autointerp.unexplainable import UNEXPLAINABLE

Row = dict[str, object]
N_ROWS = 1024
"""Features that are read at once."""
STATES = ("one", "mixed", "none", "failed", "unexplainable", "unexplained")
"""What `state` says: one property, several, nothing in common, failed and pending, settled, not asked yet."""
HEAD = pa.schema({"feature": pa.int64(), "state": pa.string(), "reason": pa.string()})
OF_DUMP = pa.schema(
    {
        "width": pa.int64(),
        "n_active": pa.int64(),
        "density": pa.float64(),
        "max_activation": pa.float64(),
        "n_active_attribute": pa.int64(),
    }
)
OF_SCORE = tuple(field for field in SCORES if field.name not in ("feature", "scorer", "judging"))
FORMAT = b"autointerp-table/1"


@dataclass(frozen=True, slots=True)
class Written:
    """Counts what an export wrote."""

    features: int
    left_out: int = 0
    """Features that the form has no place for."""
    broken: int = 0
    """Pictures that could not be made."""


@dataclass(frozen=True, slots=True)
class Found:
    """Holds what is known of one feature."""

    of_dump: FeatureRow
    explanation: Explanation | None
    scores: Mapping[Verdicts, Scored | Unscored]
    row: Row
    """The row of the table; a column that it does not have is null."""


class FeatureTable:
    """Reads a run and its dump together, feature by feature.

    Args:
        run: may still grow; what is appended later is not read.
        dump: the one that it explains.
        alone: whether the scores of the judging that the run is read with are the only ones; else those of the others
            have columns after them.
        records: where the run's records are, if that is known; they are looked for otherwise.
        features: ids, ascending; every one that the run speaks of where None.

    Raises:
        RunError: a line of the run is not as it should be.
    """

    def __init__(
        self,
        run: Run,
        dump: Dump,
        *,
        alone: bool = False,
        records: ByFeature | None = None,
        features: Ints | None = None,
    ) -> None:
        self.run, self.dump = run, dump
        self._records = records or ByFeature(run)
        self.features = self._records.features if features is None else features
        """Ids, ascending."""
        foreign = np.setdiff1d(self.features, dump.feature_ids)
        if len(foreign):
            raise RunError(
                f"{run.path}: speaks of feature {foreign[0]}, which {dump.path} does not have; score it anew"
            )
        self.prefixes = _prefixes(self._records, run, alone=alone)
        """What stands before the columns of each scorer and judging, in the order of the columns."""
        self.failing = _failing(self._records, run)
        """What stands before the columns of scorers that failed wherever they were asked."""
        self.schema = self._schema()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, `N_ROWS` at a time.

        Raises:
            AutointerpError: a line of the run or a row of the dump is not as it should be.
        """
        of_dump = self.dump.feature_rows(self.features)
        for chunk in self._chunks():
            rows = [found.row for found in self._found(chunk, islice(of_dump, len(chunk)))]
            yield pa.RecordBatch.from_pylist(rows, schema=self.schema)

    def whole(self) -> pa.Table:
        """Reads all rows into memory."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    def evidence(self) -> Iterator[tuple[Found, Feature]]:
        """What is known of each feature, with its evidence in the dump.

        Raises:
            AutointerpError: as `batches`.
        """
        features = self.dump.features(only(self.features))
        for chunk in self._chunks():
            ahead, own = tee(islice(features, len(chunk)))
            yield from zip(self._found(chunk, (feature.row for feature in ahead)), own, strict=True)

    def _chunks(self) -> Iterator[Ints]:
        for start in range(0, len(self.features), N_ROWS):
            yield self.features[start : start + N_ROWS]

    def _found(self, chunk: Ints, rows: Iterator[FeatureRow]) -> Iterator[Found]:
        records = self._records
        explanations = records.explanations.among(chunk)
        scores = {key: records.scores[key].among(chunk) for key in self.prefixes}
        failures = {stage: lines.among(chunk) for stage, lines in records.failures.items()}
        for of_dump in rows:
            number = of_dump.feature
            own = {key: found[number] for key, found in scores.items() if number in found}
            failed = {stage: found[number] for stage, found in failures.items() if number in found}
            explanation = explanations.get(number)
            yield Found(of_dump, explanation, own, self._row(of_dump, explanation, own, failed))

    def _row(
        self,
        of_dump: FeatureRow,
        explanation: Explanation | None,
        scores: Mapping[Verdicts, Scored | Unscored],
        failed: Mapping[str, FailureRecord],
    ) -> Row:
        row: Row = {} if explanation is None else explained_row(explanation)
        row |= _of_dump(of_dump, self.dump.info) | _state(explanation, failed.get(EXPLAIN))
        for key, prefix in self.prefixes.items():
            if key in scores:
                status = {"status": scores[key].status, **scored_row(scores[key])}
                row |= {f"{prefix}_{name}": value for name, value in status.items()}
            elif (failure := failed.get(key.stage)) is not None:
                row |= _not_scored(prefix, failure)
        for stage, prefix in self.failing.items():
            if stage in failed:
                row |= _not_scored(prefix, failed[stage])
        return row

    def _schema(self) -> pa.Schema:
        fields = [*HEAD, *OF_DUMP, *(f for f in EXPLANATIONS if f.name != "feature")]
        for key, prefix in self.prefixes.items():
            fields += _of_scorer(prefix, self._records.figures[key])
        for prefix in self.failing.values():
            fields += _of_scorer(prefix, [])
        run = self.run.info
        told = {
            b"autointerp": FORMAT,
            b"dump": run.dump.digest.encode(),
            b"explainer": run.explain.model.model.encode(),
        }
        return pa.schema(fields, metadata=told)


def table_of(run: Run, dump: Location | None = None) -> pa.Table:
    """The table of a run as it was opened, in memory.

    Args:
        run: a run's folder.
        dump: where its dump is now, if it was moved.

    Raises:
        AutointerpError: the dump is not there, or a line of the run or a row of the dump is not as it should be.
    """
    with dump_of(run, dump, allow_outside=False) as opened:
        return FeatureTable(run, opened).whole()


def _prefixes(records: ByFeature, run: Run, *, alone: bool) -> dict[Verdicts, str]:
    """The scorer's name, and after it that of the judging where the run is read with another one."""
    known = labels(run.judged)
    judgings = [run.judging, *(() if alone else (name for name in known if name != run.judging))]
    order = scorer_order({key.scorer for key in records.scores})
    keys = [Verdicts(scorer, judging) for judging in judgings for scorer in order]
    return {key: _prefix(key, known, run.judging) for key in keys if key in records.scores}


def _prefix(key: Verdicts, known: Mapping[str, str], read: str) -> str:
    return key.scorer if key.judging == read else f"{key.scorer}@{known[key.judging]}"


def _failing(records: ByFeature, run: Run) -> dict[str, str]:
    """What failed of the judging that is read, by scorers that have no score of it at all."""
    scored = {key.stage for key in records.scores}
    own = (stage for stage, lines in records.failures.items() if stage != EXPLAIN and len(lines.features))
    failed = sorted(stage for stage in own if judging_of(stage) == run.judging and stage not in scored)
    return {stage: stage.removeprefix(SCORE).partition("@")[0] for stage in failed}


def _of_scorer(prefix: str, figures: list[str]) -> list[pa.Field]:
    own = [pa.field("status", pa.string()), *OF_SCORE, *(pa.field(name, pa.float64()) for name in figures)]
    return [field.with_name(f"{prefix}_{field.name}") for field in own]


def _of_dump(row: FeatureRow, info: DumpInfo) -> Row:
    return {
        "feature": row.feature,
        "width": row.width,
        "n_active": row.n_active,
        "density": info.density_of(row.n_active),
        "max_activation": row.max_activation,
        "n_active_attribute": row.n_active_attribute,
    }


def _state(explanation: Explanation | None, failure: FailureRecord | None) -> Row:
    """What became of explaining, and why where nothing did."""
    if explanation is not None:
        return {"state": "none" if explanation.none else "mixed" if explanation.mixed else "one"}
    if failure is None:
        return {"state": "unexplained"}
    if failure.kind == UNEXPLAINABLE:
        return {"state": "unexplainable", "reason": failure.message}
    return {"state": "failed", "reason": _why(failure)}


def _not_scored(prefix: str, failure: FailureRecord) -> Row:
    return {f"{prefix}_status": "failed", f"{prefix}_reason": _why(failure)}


def _why(failure: FailureRecord) -> str:
    return f"{failure.kind}: {failure.message}"
