"""`autointerp status` on run folders written by hand."""

import json
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from builders import explanation, sampled, several
from standin.relevance import discoveries, false_positive_rate

from autointerp.commands.status import status
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo
from autointerp.schema import Explanation, Scored, Unscored
from autointerp.settings import ExplainSettings, ModelName, ModelSettings

CREATED = {"created": "2026-01-31"}


def run_of(folder: Path, *explanations: Explanation) -> Path:
    stage = ExplainStage(model=ModelSettings(model=ModelName("m")), settings=ExplainSettings(), prompts={})
    reference = DumpReference(name="d", path="/somewhere", digest="d" * 64, n_latents=8)
    with RunWriter(folder, RunInfo(version="1", created="2026-01-31", dump=reference, explain=stage)) as writer:
        for one in explanations:
            writer.explanation(one)
    return folder


def test_features_that_keep_several_explanations_are_counted_with_their_mean_collapse_index(tmp_path: Path):
    alone = explanation(2).model_copy(update={"sampled": sampled("a red square", collapse=1.0)})
    unclear = explanation(4).model_copy(update={"sampled": sampled("a red square", collapse=None)})
    run = run_of(tmp_path / "run", several("red", "blue", number=1), alone, explanation(3), unclear)

    found = status(run)

    # Of 1, 2 and 4 the first keeps two; the indices known are .5 and 1.
    assert found.several == "1 of 3 features keep several explanations; mean collapse index 0.750 over 2"


def test_a_run_without_sampled_explanations_says_nothing_of_them(tmp_path: Path):
    again = run_of(tmp_path / "run", several("red", "blue", number=1), explanation(1))

    assert status(again).several is None


def test_each_file_is_read_once_and_a_failure_that_was_made_good_is_not_pending(
    tmp_path: Path,
):
    run = run_of(tmp_path / "run", explanation(1))
    unscored = {"feature": 1, "scorer": "detection", "reason": "none", "judge": "m", "created": "2026-01-31"}
    (run / "scores.jsonl").write_text(Unscored.model_validate(unscored).model_dump_json() + "\n")
    stages = [(1, "explain"), (2, "explain:domain"), (1, "score:detection"), (1, "score:accuracy")]
    failed = [{"feature": f, "stage": s, "kind": "timeout", "message": "", "attempts": 1} for f, s in stages]
    (run / "failures.jsonl").write_text("".join(f"{json.dumps(f | {'created': '2026-01-31'})}\n" for f in failed))

    with mock.patch.object(Path, "open", autospec=True, side_effect=Path.open) as opened:
        pending = status(run).pending

    read = Counter(call.args[0].name for call in opened.call_args_list)
    assert pending == {"explain:domain: timeout": 1, "score:accuracy: timeout": 1}
    assert read == {"run.json": 1, "explanations.jsonl": 1, "scores.jsonl": 1, "failures.jsonl": 1}


def test_the_mean_is_told_with_and_without_undetermined_features(tmp_path: Path):
    run = run_of(tmp_path / "run", explanation(1), explanation(2), explanation(3))
    about = {"scorer": "detection", "n": 60, "details": {}, "controls": {}, "judge": "m", "prompt": "0" * 12}
    bounds = {1: (1.0, 0.1, 1.0), 2: (0.6, 0.5, 0.7), 3: (0.2, 0.1, 0.3)}
    with (run / "scores.jsonl").open("a") as file:
        for number, (value, low, high) in bounds.items():
            more = {"feature": number, "value": value, "low": low, "high": high, "created": "2026-01-31"}
            file.write(Scored.model_validate(about | more).model_dump_json() + "\n")

    (detection,) = status(run).scorers

    # (1 + .6 + .2) / 3, and (.6 + .2) / 2 without the first, whose interval is .9 wide.
    assert (detection.n, detection.mean) == (3, pytest.approx(0.6))
    assert (detection.undetermined, detection.mean_determined) == (1, pytest.approx(0.4))


def test_relevance_over_the_run_is_what_its_records_say_one_by_one(tmp_path: Path):
    run = run_of(tmp_path / "run", explanation(1))
    about = {
        "scorer": "relevance",
        "low": 0.0,
        "high": 1.0,
        "n": 9,
        "judge": "m",
        "prompt": "",
        "created": "2026-01-31",
    }
    tested = [(4, 0.9), (2, 0.5), (7, 0.004), (4, 0.001)]
    asked = [(11, 1.0, 0.0), (10, 0.0, None), (12, 1.0, 1.0), (13, 1.0, 0.0), (11, 0.0, None)]
    records = [
        Scored.model_validate(
            about | {"feature": f, "value": 0.5, "details": {"form": "label", "p_fisher": p}, "controls": {}}
        )
        for f, p in tested
    ] + [
        Scored.model_validate(
            about
            | {"feature": f, "value": value, "details": {"form": "lmm"}}
            | {"controls": {} if mixed is None else {"shuffled": {"value": mixed, "n": 1}}}
        )
        for f, value, mixed in asked
    ]
    (run / "scores.jsonl").write_text("".join(r.model_dump_json() + "\n" for r in records))

    found, rate = discoveries(records), false_positive_rate(records)
    told = status(run)

    assert rate is not None
    assert told.associated is not None
    assert told.associated.startswith(f"{len(found.discovered)} of {found.n_tested} features ")
    assert told.shuffled is not None
    assert f"found in {rate.found.value:.3f} [{rate.found.low:.3f}, " in told.shuffled
    assert f" of {rate.n} features, in {rate.shuffled.value:.3f} [" in told.shuffled
    assert f" of {rate.n_shuffled} shuffled sets (p = {rate.p:.2g})" in told.shuffled
