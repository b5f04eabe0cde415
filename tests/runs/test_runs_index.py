import json
from pathlib import Path

import numpy as np
import pytest
from builders import explanation
from pydantic import ValidationError

from autointerp.errors import RunError
from autointerp.runs.index import EXPLANATION, ScoreIndex
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Unscored


def line(feature: int, reason: str = "few", scorer: str = "detection") -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason=reason, judge="m", created="2026-01-31T12:00:00Z")


def write(folder: Path, *lines: Unscored, after: bytes = b"") -> Path:
    file = folder / "scores.jsonl"
    file.write_bytes(b"".join(SCORE.dump_json(record) + b"\n" for record in lines) + after)
    return file


def test_lines_are_found_by_scorer_and_feature_and_the_last_of_each_holds(tmp_path: Path):
    lines = (line(5), line(2, "old"), line(5, scorer="naming"), line(2, "new"))

    index = ScoreIndex(write(tmp_path, *lines, after=b'{"feature": 9, "sco'))

    assert index.scorers == ["detection", "naming"]
    assert index.features("detection").tolist() == [2, 5]
    assert index.features("naming").tolist() == [5]
    assert list(index.scores("detection", np.array([2, 5]))) == [line(2, "new"), line(5)]


def test_a_file_that_is_not_there_has_no_scorers(tmp_path: Path):
    index = ScoreIndex(tmp_path / "scores.jsonl")

    assert (index.scorers, index.features("detection").tolist()) == ([], [])


def test_a_broken_line_is_named_when_it_is_read(tmp_path: Path):
    index = ScoreIndex(write(tmp_path, line(1), after=b'{"feature": 2, "scorer": "detection"}\n'))

    with pytest.raises(RunError, match=r"scores\.jsonl: feature 2, detection: .*; mend or delete the line"):
        list(index.scores("detection", index.features("detection")))


@pytest.mark.parametrize("field", ["concepts", "candidates", "misfits", "parents", "images", "contrast"])
def test_of_a_damaged_list_of_an_explanation_the_first_fault_is_enough(field: str):
    line = explanation().model_dump() | {field: [[]] * 1000}

    with pytest.raises(ValidationError) as error:
        EXPLANATION.validate_json(json.dumps(line))

    assert error.value.error_count() == 1
