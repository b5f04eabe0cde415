"""A score's line holds its verdicts by columns and no default, and lines of earlier versions are read as before."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from autointerp.errors import RunError
from autointerp.runs.jsonl import read_lines
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Control, PartScore, Scored, Unscored, Usage, Verdict

TIME = "2026-01-31T12:00:00Z"
TOP, SILENT = {"active": True, "stratum": "top", "weight": 2.0}, {"active": False, "stratum": "silent", "weight": 2.5}
THREE = (
    Verdict(image=7, activation=1.5, belief=1.0, **TOP),
    Verdict(image=9, activation=0.0, belief=None, **SILENT),
    Verdict(image=8, activation=2.0, belief=0.5, **TOP),
)


def scored(**fields: object) -> Scored:
    usual = {"feature": 3, "scorer": "detection", "value": 0.5, "low": 0.25, "high": 0.75, "n": 3, "details": {}}
    return Scored.model_validate(usual | {"controls": {}, "judge": "m", "prompt": "p", "created": TIME} | fields)


def test_a_line_has_each_kind_of_verdict_once_and_a_column_for_the_rest():
    line = json.loads(SCORE.dump_json(scored(verdicts=THREE)))

    assert line["verdicts"] == {
        "kinds": [TOP, SILENT],
        "kind": [0, 1, 0],
        "image": [7, 9, 8],
        "activation": [1.5, 0, 2],
        "belief": [1, None, 0.5],
    }
    assert not line.keys() & {"margin", "parts", "usage"}


def test_weights_that_differ_within_a_stratum_are_a_column():
    line = json.loads(SCORE.dump_json(scored(verdicts=[*THREE, THREE[0].model_copy(update={"weight": 3.0})])))

    assert line["verdicts"]["kinds"] == [{"active": True, "stratum": "top"}, {"active": False, "stratum": "silent"}]
    assert line["verdicts"]["weight"] == [2, 2.5, 2, 3]


FULL = scored(
    details={"precision": 0.5, "band": "middle", "none": None},
    controls={"constant": Control(value=0.1, low=0.0, high=0.2, n=8), "always_yes": Control(value=0.4)},
    verdicts=[THREE[0], THREE[1].model_copy(update={"screened": 0.5})],
    margin=(Verdict(image=5, active=False, stratum="margin", belief=1.0, weight=1 / 3),),
    parts=(PartScore(text="red", value=0.1, low=0.0, high=1.0, precision=0.5, recall=0.5),),
    usage=Usage(input_tokens=5, calls=1, dollars=0.0),
)
SCORES = {
    "full": FULL,
    "weighted": scored(verdicts=THREE, margin=[THREE[0].model_copy(update={"weight": w}) for w in (3.0, 1 / 3)]),
    "guided": scored(verdicts=[THREE[1].model_copy(update={"likeness": 2}), *THREE]),
    "bare": scored(),
    "unanswered": scored(verdicts=[THREE[1]]),
    "large": scored(verdicts=[THREE[0].model_copy(update={"activation": 1e30, "weight": 2.0**60})]),
    "unscored": Unscored(feature=3, scorer="detection", reason="none", judge="m", created=TIME),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())
def test_what_is_written_is_read_as_it_was(score: Scored | Unscored):
    assert SCORE.validate_json(SCORE.dump_json(score)) == score


def test_more_verdicts_than_columns_may_hold_stay_a_list(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.runs.score_lines._MOST", 2)
    score = scored(verdicts=THREE, margin=THREE[:2])

    line = json.loads(SCORE.dump_json(score))

    assert [one["image"] for one in line["verdicts"]] == [7, 9, 8]
    assert line["margin"]["image"] == [7, 9]
    assert SCORE.validate_python(line) == score


def test_the_docs_say_how_to_read_verdicts():
    page = (Path(__file__).parents[2] / "docs" / "run-format.md").read_text()
    (code,) = re.findall(r"```python\n(def verdicts.*?)```", page, re.DOTALL)
    said: dict[str, Callable[[object], list[object]]] = {}
    exec(code, said)

    found = said["verdicts"](json.loads(SCORE.dump_json(scored(verdicts=THREE)))["verdicts"])

    assert tuple(map(Verdict.model_validate, found)) == THREE


def test_a_run_may_hold_lines_of_earlier_versions_beside_new_ones(tmp_path: Path):
    file = tmp_path / "scores.jsonl"

    file.write_bytes(FULL.model_dump_json().encode() + b"\n" + SCORE.dump_json(FULL) + b"\n")

    assert list(read_lines(file, SCORE)) == [FULL, FULL]


def test_a_feature_takes_less_than_five_thousand_bytes():
    chance = random.Random(0)
    strata = [("top", 12), ("q5", 6), ("q3", 6), ("q1", 6), ("silent", 30)]
    verdicts = [
        Verdict(
            image=chance.randrange(1_300_000), active=s != "silent", stratum=s, belief=1, weight=n / 7, activation=a
        )
        for s, n in strata
        for a in (chance.random() for _ in range(n))
    ]
    details = {f"detail_of_some_length_{i}": chance.random() for i in range(24)}
    controls = {name: Control(value=1 / 3, low=1 / 7, high=2 / 3, n=60) for name in ("constant", "other", "permuted")}

    line = SCORE.dump_json(scored(verdicts=verdicts, details=details, controls=controls))

    # As one object each, 60 verdicts alone take 8,000.
    assert len(line) < 5_000


COLUMNS = {"kinds": [TOP], "kind": [0], "image": [7], "belief": [1]}
FAULTS = {
    "short": ({"belief": []}, "belief has 0 values, but kind has 1"),
    "no list": ({"image": 7}, "image is no list"),
    "no kinds": ({"kinds": None}, "kinds is no list"),
    "beyond": ({"kind": [1]}, "a kind is no place in kinds, of which there are 1"),
    "below": ({"kind": [-1]}, "a kind is no place in kinds, of which there are 1"),
    "truth": ({"kind": [True]}, "a kind is no place in kinds, of which there are 1"),
    "odd kinds": ({"kinds": [3]}, "kinds are not all objects of active, stratum, likeness, weight"),
    "wide kinds": ({"kinds": [TOP | {"a": 1}]}, "kinds are not all objects of active, stratum, likeness, weight"),
    "too many": ({"kind": [0] * 100_001, "image": [7] * 100_001}, "kind has 100,001 values; columns hold at most"),
    "no image": ({"image": ["seven"]}, "verdicts.0.image"),
    "foreign": ({"colour": [3]}, "verdicts.0.colour"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_broken_columns_are_named_with_their_line(tmp_path: Path, fault: dict[str, object], said: str):
    file = tmp_path / "scores.jsonl"
    line = json.loads(SCORE.dump_json(scored())) | {"verdicts": COLUMNS | fault}
    file.write_bytes(SCORE.dump_json(scored()) + b"\n" + json.dumps(line).encode() + b"\n")

    with pytest.raises(RunError) as caught:
        list(read_lines(file, SCORE))

    assert str(caught.value).startswith(f"{file}:2: ")
    assert said in str(caught.value)


def in_a_list(field: str, number: float) -> object:
    return [THREE[0].model_dump() | {field: number}]


def in_columns(field: str, number: float) -> object:
    return COLUMNS | ({"kinds": [TOP | {field: number}]} if field == "weight" else {field: [number]})


@pytest.mark.parametrize("form", [in_a_list, in_columns])
@pytest.mark.parametrize("field", ["weight", "belief", "activation", "screened"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999", '"nan"'])
def test_a_verdict_holds_finite_numbers_alone(
    tmp_path: Path, form: Callable[[str, float], object], field: str, number: str
):
    file = tmp_path / "scores.jsonl"
    line = json.dumps(json.loads(SCORE.dump_json(scored())) | {"verdicts": form(field, 0.123)})
    assert line.count("0.123") == 1
    file.write_text(f"{line}\n")
    assert len(list(read_lines(file, SCORE))) == 1

    file.write_text(f"{line.replace('0.123', number)}\n")

    with pytest.raises(RunError, match=f"verdicts.0.{field}: Input should be a finite number"):
        list(read_lines(file, SCORE))


def test_a_verdict_of_version_0_1_has_no_activation():
    old = json.loads(scored(verdicts=THREE[:1]).model_dump_json())
    old["verdicts"][0] |= {"activation": None, "belief": None}

    assert SCORE.validate_python(old) == scored(verdicts=old["verdicts"])


@pytest.mark.parametrize("field", ["verdicts", "margin", "parts"])
def test_of_a_damaged_list_the_first_fault_is_enough(field: str):
    line = json.loads(SCORE.dump_json(scored())) | {field: [0] * 1000}

    with pytest.raises(ValidationError) as error:
        SCORE.validate_json(json.dumps(line))

    assert error.value.error_count() == 1


def test_of_damaged_columns_the_first_verdict_is_enough():
    line = json.loads(SCORE.dump_json(scored()))
    line["verdicts"] = {"kinds": [TOP], "kind": [0] * 1000, "image": ["seven"] * 1000}

    with pytest.raises(ValidationError) as error:
        SCORE.validate_json(json.dumps(line))

    assert error.value.error_count() == 1
