"""Figures of lines, beside the records read whole; and figures that cannot be used."""

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
from builders import explanation, sampled, several
from hypothesis import given
from hypothesis import strategies as some

from autointerp.errors import RunError
from autointerp.runs.figure_files import (
    EXPLANATIONS,
    SCORES,
    FigureFile,
    UnusableFiguresError,
    explanation_figures,
    figure_file,
    has_figures,
    judgings_in,
    packed,
    score_figures,
)
from autointerp.runs.figures import CONTROLLED, JUDGED, last, usage_of
from autointerp.runs.index import EXPLANATION
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Control, Scored, Unscored, Usage

W = "aaaaaaaa"
DETAILS = some.dictionaries(
    some.sampled_from(["careful_f1", "p_fisher", "form", "recall"]),
    some.one_of(some.none(), some.booleans(), some.integers(-9, 9), some.floats(0, 1), some.just("lmm")),
)
SCORED = some.builds(
    Scored,
    feature=some.integers(0, 3),
    scorer=some.sampled_from(["detection", "fuzzing"]),
    judging=some.sampled_from(["", "1a2b3c4d"]),
    value=some.floats(0, 1),
    low=some.floats(0, 1),
    high=some.floats(0, 1),
    n=some.just(3),
    details=DETAILS,
    controls=some.dictionaries(
        some.sampled_from(["constant", "shuffled"]),
        some.builds(Control, value=some.floats(0, 1), low=some.none(), high=some.none(), n=some.just(1)),
        max_size=2,
    ),
    verdicts=some.just(()),
    margin=some.just(()),
    parts=some.just(()),
    reencoded=some.just(()),
    generated=some.just(()),
    usage=some.builds(
        Usage,
        **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "calls"), some.integers(0, 9)),
        dollars=some.one_of(some.none(), some.floats(0, 1)),
    ),
    judge=some.just("m"),
    prompt=some.just("0" * 12),
    created=some.just("2026-01-31T12:00:00Z"),
)
UNSCORED = some.builds(
    Unscored,
    feature=some.integers(0, 3),
    scorer=some.just("detection"),
    judging=some.just(""),
    reason=some.just("none"),
    judge=some.just("m"),
    created=some.just("2026-01-31T12:00:00Z"),
)


def lines_of(scores: Sequence[Scored | Unscored]) -> bytes:
    return b"".join(SCORE.dump_json(s) + b"\n" for s in scores)


def put(folder: Path, file: str, *pieces: bytes) -> Path:
    """Figures of lots of lines, without the lines."""
    at = 0
    for lines in pieces:
        path = folder / FigureFile(file, at, at + len(lines), W).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(file, [lines])[0])
        at += len(lines)
    return folder


def same(a: float, b: float | None) -> bool:
    return a == b or (isnan(a) and b is None)


@given(some.lists(some.one_of(SCORED, UNSCORED), max_size=8), some.integers(0, 8))
def test_figures_of_scores_are_what_the_records_say(
    tmp_path_factory: pytest.TempPathFactory, scores: list[Scored | Unscored], cut: int
):
    folder = tmp_path_factory.mktemp("lines")
    (folder / SCORES).write_bytes(lines_of(scores))
    packed_up = put(
        tmp_path_factory.mktemp("packed"), SCORES, *(lines_of(s) for s in (scores[:cut], scores[cut:]) if s)
    )

    for found in (score_figures([folder]), score_figures([packed_up])):
        assert len(found.rows) == len(scores)
        for i, (row, score) in enumerate(zip(found.rows, scores, strict=True)):
            name, _, judging = found.names[row["name"]].partition("@")
            assert (row["feature"], name, judging) == (score.feature, score.scorer, score.judging)
            assert bool(row["scored"]) == isinstance(score, Scored)
            if isinstance(score, Scored):
                assert same(row["value"], score.value)
                assert bool(row["undetermined"]) == score.undetermined
                assert bool(row["lmm"]) == (score.details.get("form") == "lmm")
                for detail in ("careful_f1", "p_fisher"):
                    assert same(found.column(detail)[i], score.number(detail))
                for control in ("constant", "shuffled"):
                    own = score.controls.get(control)
                    assert same(found.column(control)[i], own.value if own else None)
        used = sum((s.usage for s in scores if isinstance(s, Scored)), Usage())
        told = usage_of(found.rows)
        assert told.model_copy(update={"dollars": None}) == used.model_copy(update={"dollars": None})
        assert told.dollars == (None if used.dollars is None else pytest.approx(used.dollars))
        own = found.of_judging("1a2b3c4d")
        assert own.rows["feature"].tolist() == [s.feature for s in scores if s.judging == "1a2b3c4d"]
        assert last(own.rows)["feature"].tolist() == sorted({s.feature for s in scores if s.judging == "1a2b3c4d"})


@given(some.lists(SCORED, max_size=8))
def test_the_last_scores_are_in_the_order_of_features(tmp_path_factory: pytest.TempPathFactory, scores: list[Scored]):
    folder = tmp_path_factory.mktemp("lines")
    (folder / SCORES).write_bytes(lines_of(scores))

    found = score_figures([folder]).last()

    latest = sorted({s.feature: s for s in scores}.items())
    assert [(r["feature"], r["value"]) for r in found.rows] == [(f, s.value) for f, s in latest]
    for control in ("constant", "shuffled"):
        values = [s.controls[control].value if control in s.controls else nan for _, s in latest]
        np.testing.assert_array_equal(found.column(control), values)


@given(some.lists(SCORED, max_size=6), some.lists(SCORED, max_size=6))
def test_a_part_adds_what_the_run_has_not(
    tmp_path_factory: pytest.TempPathFactory, own: list[Scored], more: list[Scored]
):
    run = tmp_path_factory.mktemp("run")
    for folder, scores in ((run, own), (run / "part", more)):
        folder.mkdir(exist_ok=True)
        (folder / SCORES).write_bytes(lines_of(scores))

    found = score_figures([run, run / "part"])

    known = {(s.feature, s.scorer, s.judging) for s in own}
    expected = [*own, *(s for s in more if (s.feature, s.scorer, s.judging) not in known)]
    assert [(r["feature"], *found.names[r["name"]].split("@"), r["value"]) for r in found.rows] == [
        (s.feature, s.scorer, *([s.judging] if s.judging else []), s.value) for s in expected
    ]
    for control in ("constant", "shuffled"):
        values = [s.controls[control].value if control in s.controls else nan for s in expected]
        np.testing.assert_array_equal(found.column(control), values)


def test_figures_of_explanations_are_what_the_records_say(tmp_path: Path):
    unclear = explanation(4).model_copy(update={"sampled": sampled("red", collapse=None), "mixed": True})
    records = [several("red", "blue", number=1), explanation(3), unclear, explanation(3)]
    (tmp_path / EXPLANATIONS).write_bytes(b"".join(EXPLANATION.dump_json(e) + b"\n" for e in records))
    again = put(tmp_path / "packed", EXPLANATIONS, (tmp_path / EXPLANATIONS).read_bytes())

    for folder in (tmp_path, again):
        rows = explanation_figures([folder])
        assert rows["feature"].tolist() == [1, 3, 4, 3]
        assert rows["several"].tolist() == [True, False, False, False]
        assert rows["sampled"].tolist() == [True, False, True, False]
        assert rows["mixed"].tolist() == [False, False, True, False]
        assert isnan(rows["collapse"][2])
        assert records[0].sampled is not None
        assert rows["collapse"][0] == records[0].sampled.collapse
        assert usage_of(rows) == sum((e.usage for e in records), Usage())


def test_lines_go_before_figures(tmp_path: Path):
    score = {"status": "unscored", "feature": 1, "scorer": "s", "reason": "", "judge": "m", "created": "x"}
    put(tmp_path, SCORES, json.dumps(score).encode() + b"\n")
    assert judgings_in(tmp_path) == {""}

    (tmp_path / SCORES).write_text("")

    assert len(score_figures([tmp_path]).rows) == 0
    assert judgings_in(tmp_path) == set()


def test_a_broken_line_is_named(tmp_path: Path):
    (tmp_path / SCORES).write_text('{"status": "scored", "feature": 1}\n')

    with pytest.raises(RunError, match=r"scores\.jsonl:1: "):
        score_figures([tmp_path])
    with pytest.raises(ValueError, match="Field required"):
        packed(SCORES, [b'{"status": "scored", "feature": 1}\n'])


def saved(path: Path, **arrays: object) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def overlong(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as whole:
        whole.writestr("more", bytes(1 << 22))


def with_(**fields: object) -> Callable[[Path], None]:
    """Puts values into fields of rows, such as `controls_row=7`, or arrays in place of others."""

    def spoil(path: Path) -> None:
        with np.load(path) as stored:
            arrays = dict(stored)
        for name, value in fields.items():
            array, _, column = name.partition("_") if name not in arrays else (name, "", "")
            if column:
                arrays[array][column] = value
            else:
                arrays[array] = value
        saved(path, **arrays)

    return spoil


def no_truth(path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["rows"]["scored"].view(np.uint8)[:] = 2
    saved(path, **arrays)


def member(header: bytes) -> Callable[[Path], None]:
    """Has an array begin with such a header."""

    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as whole:
            whole.writestr("rows.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)

    return spoil


def flagged(at: int, flag: int) -> Callable[[Path], None]:
    """Says of the members of the zip that they are packed in some other way."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for found in re.finditer(b"PK\x01\x02", bytes(content)):
            content[found.start() + at] = flag
        path.write_bytes(content)

    return spoil


def no_array(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as whole:
        whole.writestr("rows.npy", b"no array")


def an_array_before(path: Path) -> None:
    np.save(array := BytesIO(), np.zeros(3))
    path.write_bytes(array.getvalue() + path.read_bytes())


NO_NAMES = np.array([], np.str_)
SPOILT = {
    "no zip": lambda path: path.write_bytes(b"no zip"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "others": lambda path: saved(path, rows=np.zeros(3)),
    "pickled": lambda path: saved(path, rows=np.array([{}], object)),
    "a bomb": overlong,
    "a control of no row": with_(controls_row=7),
    "a gap": lambda path: path.rename(path.with_name(path.name.replace("0-00", "1-00", 1))),
    "no array": no_array,
    "an array before": an_array_before,
    "more rows than 64 bits": member(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1" + b"0" * 30 + b",)}\n"),
    "a header of another kind": member(b"{[]: 1}\n"),
    "a header without end": member(b"[" * 3000 + b"\n"),
    "encrypted": flagged(8, 1),
    "packed by no known way": flagged(10, 97),
    "no names": with_(names=NO_NAMES),
    "no names of controls": with_(control_names=NO_NAMES),
    "names that are numbers": with_(rows=np.zeros(0, JUDGED), controls=np.zeros(0, CONTROLLED), names=np.zeros(1)),
    "half a character": with_(names=np.array(["\ud800"])),
    "no character": with_(names=np.full(1, 2**31 - 1, "<u4").view("<U1")),
    "a negative feature": with_(rows_feature=-1),
    "a negative count": with_(rows_calls=-1),
    "counts that run over": with_(rows_calls=2**62),
    "no value": with_(rows_value=nan),
    "an infinite value": with_(rows_value=np.inf),
    "an infinite detail": with_(rows_p_fisher=-np.inf),
    "no truth value": no_truth,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_figures_that_are_not_what_they_should_be_are_not_used(tmp_path: Path, spoil):
    scored = {"status": "scored", "feature": 0, "scorer": "s", "value": 0.5, "low": 0.4, "high": 0.6, "details": {}}
    put(tmp_path, SCORES, json.dumps(scored | {"controls": {"constant": {"value": 0.1}}}).encode() + b"\n")
    assert len(score_figures([tmp_path]).rows) == 1

    (path,) = (tmp_path / "figures").iterdir()
    spoil(path)

    with pytest.raises(UnusableFiguresError):
        score_figures([tmp_path])


@pytest.mark.parametrize("fields", [{"feature": 2**63}, {"feature": -1}, {"usage": {"calls": 2**53}}])
def test_lines_with_numbers_that_no_column_holds_are_named(tmp_path: Path, fields: dict[str, object]):
    line = json.loads(EXPLANATION.dump_json(explanation(1)))
    (tmp_path / EXPLANATIONS).write_text(json.dumps(line | fields) + "\n")
    score = {"status": "scored", "feature": 0, "scorer": "s", "value": 0.5, "low": 0.4, "high": 0.6, "details": {}}
    (tmp_path / SCORES).write_text(json.dumps(score | {"controls": {}} | fields) + "\n")

    with pytest.raises(RunError, match=r"explanations\.jsonl:1: "):
        explanation_figures([tmp_path])
    with pytest.raises(RunError, match=r"scores\.jsonl:1: "):
        score_figures([tmp_path])


def test_names_of_figures():
    own = FigureFile("parts/x/scores.jsonl", 0, 512, W)

    assert own.name == "parts/x/figures/scores-0000000000000000-0000000000000512-aaaaaaaa.npz"
    assert figure_file(own.name) == own
    assert figure_file("figures/plot.npz") is None
    assert [has_figures(n) for n in ("scores.jsonl", "parts/a/explanations.jsonl")] == [True, True]
    assert [has_figures(n) for n in ("random/scores.jsonl", "failures.jsonl")] == [False, False]
