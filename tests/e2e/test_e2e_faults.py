"""An endpoint that fails: every feature is explained, scored or a typed failure, and a second run completes all."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from standin.commands import Command, Done, run, unasked
from standin.mind import Question
from standin.planted import FEATURES, Population, kinds
from standin.records import explanations, f1, failures, scores
from standin.server import ALL_FAULTS, REFUSALS, StandIn

from autointerp.schema import FailureRecord, Scored, Unscored

KINDS = re.compile(r"refused|malformed|rate_limited|timeout|http_\d{3}|connection|over_budget|image")
STAGES = {"explain", "explain:domain", "explain:image", "score:detection", "score:accuracy", "score:relevance"}


def the_score(record: Scored | Unscored) -> Scored:
    assert isinstance(record, Scored)
    return record


def well_formed(record: FailureRecord) -> bool:
    """Its kind and stage are the contract's, and its message is one line."""
    typed = KINDS.fullmatch(record.kind) is not None and record.stage in STAGES
    return typed and record.message.isprintable() and 0 < len(record.message) <= 400


@pytest.mark.parametrize(("rate", "seed"), [(0.05, 1), (0.3, 5)])
def test_with_faults_nothing_is_made_up_and_a_second_run_completes_all(
    rate: float, seed: int, done: Done, seer: StandIn, explain: Command, score: Command, tmp_path: Path
):
    # By `done` the pictures are known to the seer, which then answers at once: only what hangs takes so long.
    engine = ("--attempts", "3", "--timeout", "5", "--json")
    seer.fault_rate, seer.seed = rate, seed

    explained = explain(*engine)
    whole = explanations(tmp_path / "run")
    failed = failures(tmp_path / "run")
    scored = score(*engine)

    assert whole.keys() | {f.feature for f in failed} == set(range(12))
    assert not whole.keys() & {f.feature for f in failed}
    assert explained.code == (1 if failed else 0)
    assert json.loads(explained.out)["retries"] or rate < 0.1
    all_failed = failures(tmp_path / "run")
    assert scores(tmp_path / "run").keys() | {f.feature for f in all_failed if "detection" in f.stage} == whole.keys()
    assert [f for f in all_failed if not well_formed(f)] == []
    assert scored.code == (1 if len(all_failed) > len(failed) else 0)
    assert rate < 0.1 or all_failed
    seer.fault_rate = 0
    assert [explain().code, score().code] == [0, 0]
    found = explanations(tmp_path / "run")
    assert {f: kinds(e.text) for f, e in found.items()} == {i: f.pairs for i, f in enumerate(FEATURES)}
    assert f1(tmp_path / "run") == dict.fromkeys(range(12), 1.0)
    assert set(seer.answered.values()) == {1}


@pytest.mark.parametrize("fault", ALL_FAULTS)
def test_each_fault_alone_ends_as_its_own_kind_or_is_overcome(
    fault: str, seer: StandIn, explain: Command, tmp_path: Path
):
    seer.fault_rate, seer.fault_kinds = 1.0, (fault,)
    expected = {
        "429": "rate_limited",
        "429 after": "rate_limited",
        "500": "http_500",
        "503": "http_503",
        "cut": "connection",
        "cut inside": "connection",
        "empty": "http_200",
        "error in 200": "http_502",
        "prose": "malformed",
        "truncated": "malformed",
    } | dict.fromkeys(REFUSALS, "refused")

    result = explain("--features", "0", "--attempts", "1", *(("--timeout", "1") if fault == "hang" else ()))

    if fault in ("fenced", "thinking"):
        assert (result.code, explanations(tmp_path / "run")[0].text[:10]) == (0, "red circle")
    elif fault in ("no json", "hang"):
        assert result.code == 2
        assert unasked(result.err).startswith("autointerp: ")
        assert result.err.endswith("is the server up and --base-url right?\n")
    else:
        assert result.code == 1
        records = failures(tmp_path / "run")
        assert [(r.feature, r.stage, r.kind) for r in records] == [(0, "explain", expected[fault])]
        assert well_formed(records[0])
        assert not explanations(tmp_path / "run")


def test_cut_or_hanging_calls_in_the_middle_of_a_run_are_typed_failures(
    done: Done, seer: StandIn, explain: Command, tmp_path: Path
):
    # By `done` the pictures are known to the seer, so that the first question of each run is answered in time.
    for fault, kind in (("cut inside", "connection"), ("hang", "timeout")):
        seer.fault_kinds = (fault,)
        first = len(seer.calls)

        def later(number: int, first: int = first) -> None:
            seer.fault_rate = 1.0 if number > first + 1 else 0.0

        seer.on_call = later
        usual = ("--features", "0-3", "--attempts", "1", "--timeout", "5")
        result = explain(*usual, "--cache", tmp_path / f"cache-{kind}", to=kind)

        assert result.code == 1
        assert len(explanations(tmp_path / kind)) == 1
        assert {f.kind for f in failures(tmp_path / kind)} == {kind}
        assert len(failures(tmp_path / kind)) == 3
        seer.fault_rate = 0.0


@pytest.mark.parametrize(
    ("fields", "refusals"),
    [
        # A schema is given up for a plain JSON object first, and that for nothing.
        (("response_format",), 2),
        (("temperature",), 1),
        (("max_tokens",), 1),
        (("seed",), 1),
        (("response_format", "temperature", "max_tokens", "seed"), 5),
    ],
)
def test_refused_field_is_left_out_and_the_next_run_knows(
    fields: tuple[str, ...], refusals: int, seer: StandIn, explain: Command, tmp_path: Path
):
    seer.rejects = fields

    first = explain("--features", "0")
    n_first = [c.status for c in seer.calls]
    second = explain("--features", "1-3")

    assert (first.code, second.code) == (0, 0)
    assert n_first == [400] * refusals + [200]
    assert [c.status for c in seer.calls[len(n_first) :]] == [200, 200, 200]
    assert not {"response_format", "temperature", "max_tokens", "seed"} & set(fields) & seer.calls[-1].fields


def test_unusable_reply_is_asked_again_once_with_what_was_wrong(seer: StandIn, explain: Command, tmp_path: Path):
    def too_long(question: Question, value: dict[str, object]) -> str:
        return json.dumps(value | {"explanation": "red " * 46})

    seer.text_of = too_long

    result = explain("--features", "0", "--attempts", "4")

    assert result.code == 1
    assert len(seer.calls) == 2
    record = failures(tmp_path / "run")[0]
    assert record.kind == "malformed"
    assert "explanation has 46 words" in record.message


def test_budget_in_tokens_stops_cleanly_and_a_larger_one_goes_on(seer: StandIn, explain: Command, tmp_path: Path):
    seer.input_tokens = 10_000

    first = explain("--budget", "60k tokens", "--concurrency", "1", "--json")
    spent = json.loads(first.out)["usage"]
    second = explain("--budget", "1M tokens", "--json")

    assert first.code == 3
    assert json.loads(first.out)["stopped"] == "over budget"
    assert spent["input_tokens"] + spent["output_tokens"] <= 60_000
    assert {f.kind for f in failures(tmp_path / "run")} == {"over_budget"}
    assert second.code == 0
    assert len(explanations(tmp_path / "run")) == 12
    assert set(seer.answered.values()) == {1}


def test_next_image_stands_in_for_one_that_cannot_be_decoded(
    planted: Population, done: Done, explain: Command, tmp_path: Path
):
    shutil.copytree(planted.folder, tmp_path / "dump")
    shown = {f: e.images + e.contrast for f, e in explanations(done.run).items()}
    broken = next(i for i in shown[0] if i % 2 == 0)
    (tmp_path / "dump" / "images" / f"{broken}.png").write_bytes(b"not an image")

    result = explain(dump=tmp_path / "dump")
    again = explain("--cache", tmp_path / "other", dump=tmp_path / "dump", to="again")

    hit = {f for f, images in shown.items() if broken in images}
    said = f"{len(hit)} image{'s' if len(hit) > 1 else ''} cannot be read (failures.jsonl); "
    found = {f: e.images + e.contrast for f, e in explanations(tmp_path / "run").items()}
    assert (result.code, said in result.out) == (0, True)
    assert {f: images for f, images in found.items() if f not in hit} == {f: shown[f] for f in shown.keys() - hit}
    for feature in hit:
        assert len(found[feature]) == len(shown[feature])
        assert set(shown[feature]) - set(found[feature]) == {broken}
    assert again.code == 0
    assert {f: e.images + e.contrast for f, e in explanations(tmp_path / "again").items()} == found
    named = {(f.feature, f.stage, f.kind, f.message.split(":")[0]) for f in failures(tmp_path / "run")}
    assert named == {(f, "explain:image", "image", f"image {broken}") for f in hit}


def test_broken_image_counts_as_unanswered_where_a_judge_would_see_it(
    planted: Population, done: Done, explain: Command, seer: StandIn, tmp_path: Path
):
    shutil.copytree(planted.folder, tmp_path / "dump")
    assert explain("--features", "0-2", dump=tmp_path / "dump").code == 0
    score = ("score", tmp_path / "run", "--scorers", "detection", "--base-url", seer.url, "--cache", tmp_path / "cache")
    judged = {v.image for v in the_score(scores(done.run)[0]).verdicts}
    broken = min(i for i in judged if i % 2 == 0)
    (tmp_path / "dump" / "images" / f"{broken}.png").write_bytes(b"not an image")

    result = run(*score)

    found = scores(tmp_path / "run")
    assert result.code == 0
    assert found.keys() == {0, 1, 2}
    assert [v.image for v in the_score(found[0]).verdicts if v.belief is None] == [broken]


def test_a_question_without_an_answer_stands_under_the_scorer_that_asked_it(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path
):
    """Two questions in ten are refused: each scorer has as many lines of failures as answers that it lacks."""
    assert explain("--features", "0-3").code == 0
    seer.fault_rate, seer.fault_kinds = 0.2, ("refusal",)

    assert score("--features", "0-3", "--scorers", "detection,naming,intruder", "--per-call", "1").code == 0

    lines = Counter((f.feature, f.stage) for f in failures(tmp_path / "run"))
    for name in ("naming", "intruder"):
        found = {f: the_score(s).details for f, s in scores(tmp_path / "run", name).items()}
        lacking = {f: d.get("unanswered", 0) + d.get("hard_unanswered", 0) for f, d in found.items()}
        assert {f: lines[f, f"score:{name}"] for f in lacking} == lacking
        assert any(lacking.values())
    judged = {f: [v.belief for v in the_score(s).verdicts].count(None) for f, s in scores(tmp_path / "run").items()}
    assert {f: lines[f, "score:detection"] for f in judged} == judged
