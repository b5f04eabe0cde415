import json
from collections import Counter
from pathlib import Path

import pytest

from autointerp.cli.printing import finish
from autointerp.job import WORKER_FAILED, JobResult
from autointerp.lmm.gateway import Tally
from autointerp.schema import FailureRecord, Usage


def result(**change: object) -> JobResult:
    job = JobResult(run=Path("r"), selected=10, before=2, done=8, seconds=1.5)
    job.tally = Tally(requests=9, cached=3, answered=8, usage=Usage(input_tokens=900, output_tokens=100, dollars=0.5))
    for name, value in change.items():
        setattr(job, name, value)
    return job


FAILURE = FailureRecord(feature=4, stage="explain", kind="timeout", message="no answer", attempts=6, created="now")


def test_a_job_that_is_through_says_what_it_did_and_what_is_next(capsys: pytest.CaptureFixture[str]):
    finish("explained", result(), as_json=False, next_step="autointerp score r")

    assert capsys.readouterr().out.splitlines() == [
        "explained 8 of 10 features (2 were done before) in 1.5 s -> r",
        "9 calls, 3 answers from the cache, 1,000 tokens, $0.5000",
        "next: autointerp score r",
    ]


def test_a_job_with_failures_lists_them_and_exits_with_1(capsys: pytest.CaptureFixture[str]):
    code = finish("explained", result(done=7, failed=1, failures=[FAILURE]), as_json=False, next_step="never")

    out = capsys.readouterr().out
    assert code == 1
    assert "1 feature failed and stays pending" in out
    assert "  feature 4: explain: timeout: no answer" in out
    assert "run the same command again to go on" in out
    assert "never" not in out


def test_a_job_that_was_stopped_says_why_and_exits_with_3(capsys: pytest.CaptureFixture[str]):
    code = finish("scored", result(stopped="over budget", failed=1), as_json=False, next_step="never")

    assert code == 3
    assert "stopped: over budget; run the same command again to go on" in capsys.readouterr().out


def test_a_job_whose_worker_failed_is_not_taken_for_one_that_was_stopped(capsys: pytest.CaptureFixture[str]):
    code = finish("scored", result(stopped=WORKER_FAILED), as_json=False, next_step="never")

    assert code == 1
    assert "stopped: a worker failed; run the same command again to go on" in capsys.readouterr().out


def test_features_that_cannot_be_explained_change_no_exit_code_and_stand_in_a_count_of_their_own(
    capsys: pytest.CaptureFixture[str],
):
    never = Counter({"never fired": 2, "no images in the dump": 1})

    code = finish("explained", result(done=5, unexplainable=never), as_json=False, next_step="autointerp score r")

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith("explained 5 of 7 features (2 were done before) in ")
    assert lines[2:] == [
        "3 features cannot be explained: 2 never fired, 1 has no images in the dump",
        "next: autointerp score r",
    ]


def test_as_json_it_is_one_object_with_every_figure(capsys: pytest.CaptureFixture[str]):
    code = finish("explained", result(failed=1), as_json=True, next_step="x")

    told = json.loads(capsys.readouterr().out)
    assert (told["selected"], told["before"], told["done"], told["failed"]) == (10, 2, 8, 1)
    assert told["usage"]["dollars"] == 0.5
    assert code == 1
