"""Reads what a run left behind."""

import json
from collections.abc import Iterable
from pathlib import Path

from autointerp.runs.folder import open_run
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored


def explanations(run: Path) -> dict[int, Explanation]:
    """By feature; each must be there once and every line whole."""
    whole_lines(run / "explanations.jsonl")
    found = list(open_run(run).explanations())
    assert len({e.feature for e in found}) == len(found), "a feature is explained twice"
    return {e.feature: e for e in found}


def scores(run: Path, scorer: str = "detection") -> dict[int, Scored | Unscored]:
    """By feature; each must be there once for a scorer and every line whole."""
    whole_lines(run / "scores.jsonl")
    found = [s for s in open_run(run).scores() if s.scorer == scorer]
    assert len({s.feature for s in found}) == len(found), "a feature is scored twice"
    return {s.feature: s for s in found}


def f1(run: Path) -> dict[int, float]:
    """Detection's value by feature, of those that have one."""
    return {f: s.value for f, s in scores(run).items() if isinstance(s, Scored)}


def failures(run: Path) -> list[FailureRecord]:
    """In the order they were written."""
    return list(open_run(run).failures())


def whole_lines(file: Path) -> list[dict[str, object]]:
    """Every line as JSON; none may be torn."""
    content = file.read_bytes()
    assert content == b"" or content.endswith(b"\n"), f"{file.name} ends in a torn line"
    return [json.loads(line) for line in content.splitlines()]


def timeless(run: Path) -> tuple[list[str], list[str]]:
    """Explanations and scores as text, in the order of features, without when they came about."""
    there = open_run(run)
    said = sorted(there.explanations(), key=lambda e: e.feature)
    judged = sorted(there.scores(), key=lambda s: (s.feature, s.scorer))
    return _timeless(said), _timeless(judged)


def _timeless(records: Iterable[Explanation | Scored | Unscored]) -> list[str]:
    return [r.model_copy(update={"created": ""}).model_dump_json() for r in records]
