"""Figures of explanations and scores: what `status` needs of their lines, as columns of some tens of bytes a line."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan
from operator import attrgetter
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, TypeAdapter

from autointerp.runs.index import judging_of, named
from autointerp.schema import Explanation, Usage, finite, is_undetermined

Rows = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]
_USAGE = [(name, "<f8" if name == "dollars" else "<i8") for name in Usage.model_fields]
_all_used = attrgetter(*(name for name, _ in _USAGE))
_counts = attrgetter(*(name for name, kind in _USAGE if kind == "<i8"))
_FEATURE = Annotated[int, Field(ge=0, lt=2**63)]
_MOST = 2**53
"""What one line used stays below it, so that each whole number is a float and sums do not run over."""
EXPLAINED = np.dtype(
    [
        ("feature", "<i8"),
        ("none", "?"),
        ("mixed", "?"),
        ("sampled", "?"),
        ("several", "?"),
        ("collapse", "<f8"),
        *_USAGE,
    ]
)
"""An explanation: whether candidates were sampled, whether several of them are kept, and their collapse index. What is
not known is NaN, here and below."""
_NUMBERS = ("value", "careful_f1", "p_fisher")
JUDGED = np.dtype(
    [
        ("feature", "<i8"),
        ("name", "<u4"),
        *((name, "?") for name in ("scored", "lmm", "undetermined")),
        *((name, "<f8") for name in _NUMBERS),
        *_USAGE,
    ]
)
"""A score, or that there is none; `name` counts in the names of the scorers."""
CONTROLLED = np.dtype([("row", "<u4"), ("name", "<u4"), ("value", "<f8")])
"""What a control of the score in a row has."""


def _countable(usage: Usage) -> Usage:
    counts = _counts(usage)
    if min(counts) < 0 or max(counts) >= _MOST:
        raise ValueError("tokens and calls are counts below 2^53")
    return usage


def _kept(line: Explanation) -> Explanation:
    if not 0 <= line.feature < 2**63:
        raise ValueError("feature is no number from 0 to 2^63 - 1")
    _countable(line.usage)
    return line


EXPLANATION_LINE = TypeAdapter[Explanation](Annotated[Explanation, AfterValidator(_kept)])
"""Reads a line of explanations.jsonl for `explained`."""


class _Details(BaseModel):
    careful_f1: object = None
    p_fisher: object = None
    form: object = None


class _Control(BaseModel):
    value: float


class _Scored(BaseModel):
    """The part of a line of scores.jsonl that is kept; reading no more takes a fifth of the time."""

    status: Literal["scored"]
    feature: _FEATURE
    scorer: str
    judging: str = ""
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    details: _Details
    controls: dict[str, _Control]
    usage: Annotated[Usage, AfterValidator(_countable)] = Usage()


class _Unscored(BaseModel):
    status: Literal["unscored"]
    feature: _FEATURE
    scorer: str
    judging: str = ""


SCORE_LINE = TypeAdapter[_Scored | _Unscored](Annotated[_Scored | _Unscored, Field(discriminator="status")])
"""Reads a line of scores.jsonl for `judged`."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreFigures:
    """Figures of scores, in the order of their lines."""

    rows: Rows
    """Of the type `JUDGED`, shape [n]."""
    names: tuple[str, ...]
    """Of the scorers, with the judging as `named` puts it."""
    controls: Rows
    """Of the type `CONTROLLED`, shape [m]."""
    control_names: tuple[str, ...]

    def column(self, name: str) -> Floats:
        """A figure of each row, shape [n]: `value`, a detail that is kept, or what the control of this name has."""
        if name in _NUMBERS:
            return self.rows[name]
        out = np.full(len(self.rows), nan)
        if name in self.control_names:
            own = self.controls[self.controls["name"] == self.control_names.index(name)]
            out[own["row"]] = own["value"]
        return out

    def where(self, kept: npt.NDArray[np.bool_]) -> "ScoreFigures":
        """The rows for which a column of shape [n] is true."""
        controls = self.controls[kept[self.controls["row"]]]
        controls["row"] = (np.cumsum(kept) - 1)[controls["row"]]
        return replace(self, rows=self.rows[kept], controls=controls)

    def of_judging(self, judging: str) -> "ScoreFigures":
        """The scores of one judging."""
        own = [i for i, name in enumerate(self.names) if judging_of(name) == judging]
        return self.where(np.isin(self.rows["name"], own))

    def last(self) -> "ScoreFigures":
        """The last row of each feature, whoever scored it, by feature: what is drawn from them depends on the order."""
        at = _last(self.rows)
        place = np.full(len(self.rows), -1)
        place[at] = np.arange(len(at))
        controls = self.controls[place[self.controls["row"]] >= 0]
        controls["row"] = place[controls["row"]]
        return replace(self, rows=self.rows[at], controls=controls)

    def by_name(self) -> Iterator[tuple[str, "ScoreFigures"]]:
        """The scores of each scorer and judging."""
        for i, name in enumerate(self.names):
            yield name, self.where(self.rows["name"] == i)

    def without(self, known: "ScoreFigures") -> "ScoreFigures":
        """Leaves out features that others, whose names are the same, have by the same scorer and judging."""
        kept = np.ones(len(self.rows), bool)
        for i in range(len(self.names)):
            own = self.rows["name"] == i
            kept[own] = ~np.isin(self.rows["feature"][own], known.rows["feature"][known.rows["name"] == i])
        return self.where(kept)


NO_SCORES = ScoreFigures(np.zeros(0, JUDGED), (), np.zeros(0, CONTROLLED), ())


def last(rows: Rows) -> Rows:
    """The last row of each feature, by feature."""
    return rows[_last(rows)]


def _last(rows: Rows) -> npt.NDArray[np.int64]:
    _, at = np.unique(rows["feature"][::-1], return_index=True)
    return len(rows) - 1 - at


def usage_of(rows: Rows) -> Usage:
    """What all of them used."""
    known = rows["dollars"][~np.isnan(rows["dollars"])]
    tokens = {name: int(rows[name].sum(dtype=np.float64)) for name, kind in _USAGE if kind == "<i8"}
    return Usage(**tokens, dollars=float(known.sum()) if len(known) else None)


def could_be_of_lines(rows: Rows) -> bool:
    """Whether rows of the type `EXPLAINED` or `JUDGED`, which may come from anywhere, hold what lines may say."""
    kinds = {name: kind for name, (kind, *_) in (rows.dtype.fields or {}).items()}
    # NumPy reckons with truth values as it finds them, whatever is in the byte.
    truths = all((rows[name].view(np.uint8) <= 1).all() for name, kind in kinds.items() if kind == np.bool_)
    counts = all(((rows[name] >= 0) & (rows[name] < _MOST)).all() for name, kind in _USAGE if kind == "<i8")
    numbers = [rows[name] for name in _NUMBERS if name in kinds]
    finite_or_none = all((np.isfinite(column) | np.isnan(column)).all() for column in numbers)
    is_there = "scored" not in kinds or not np.isnan(rows["value"][rows["scored"]]).any()
    return bool(truths and counts and finite_or_none and is_there and (rows["feature"] >= 0).all())


def explained(lines: Iterable[Explanation]) -> Rows:
    """Figures of explanations."""
    rows = [
        (
            e.feature,
            e.none,
            e.mixed,
            e.sampled is not None,
            len(e.parts) > 1,
            _or_nan(e.sampled.collapse if e.sampled else None),
            *_used(e.usage),
        )
        for e in lines
    ]
    return np.array(rows, EXPLAINED)


def judged(lines: Iterable[_Scored | _Unscored]) -> ScoreFigures:
    """Figures of scores."""
    rows: list[tuple[object, ...]] = []
    controls: list[tuple[int, int, float]] = []
    names, control_names = dict[str, int](), dict[str, int]()
    for line in lines:
        name = names.setdefault(named(line.scorer, line.judging), len(names))
        if isinstance(line, _Unscored):
            rows.append((line.feature, name, False, False, False, nan, nan, nan, *_used(Usage())))
            continue
        for control, own in line.controls.items():
            controls.append((len(rows), control_names.setdefault(control, len(control_names)), own.value))
        form = line.details.form
        rows.append(
            (
                line.feature,
                name,
                True,
                form == "lmm",
                is_undetermined(line.low, line.high, form),
                line.value,
                _or_nan(finite(line.details.careful_f1)),
                _or_nan(finite(line.details.p_fisher)),
                *_used(line.usage),
            )
        )
    return ScoreFigures(np.array(rows, JUDGED), tuple(names), np.array(controls, CONTROLLED), tuple(control_names))


def _or_nan(value: float | None) -> float:
    return nan if value is None else value


def _used(usage: Usage) -> tuple[float, ...]:
    return tuple(map(_or_nan, _all_used(usage)))


def together(pieces: Sequence[ScoreFigures]) -> ScoreFigures:
    """One behind the other, with names in common."""
    names = tuple(dict.fromkeys(name for p in pieces for name in p.names))
    control_names = tuple(dict.fromkeys(name for p in pieces for name in p.control_names))
    rows, controls, n = list[Rows](), list[Rows](), 0
    for p in pieces:
        own, under = p.rows.copy(), p.controls.copy()
        own["name"] = _places(p.names, names)[own["name"]]
        under["name"], under["row"] = _places(p.control_names, control_names)[under["name"]], under["row"] + n
        rows.append(own)
        controls.append(under)
        n += len(own)
    none = NO_SCORES
    return ScoreFigures(
        np.concatenate([none.rows, *rows]), names, np.concatenate([none.controls, *controls]), control_names
    )


def _places(names: Sequence[str], among: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.array([among.index(name) for name in names], np.int64)
