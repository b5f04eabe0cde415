"""`batch submit --files-only` and `batch collect`: files answered elsewhere end in the records of a plain run."""

import json
import random
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from standin.commands import Command, Done, Result, run, says
from standin.offline import answer_files, answered, expired, failed, keys, requests, write
from standin.planted import Population
from standin.records import explanations, failures, scores, whole_lines
from standin.server import StandIn

from autointerp.batch.client import Outbox
from autointerp.jobs.batch import submit as batch_submitting
from autointerp.runs.folder import open_run

NOWHERE = ("--model", "seer", "--base-url", "http://127.0.0.1:9/v1")
"""An endpoint that must not be asked."""


@pytest.fixture
def recorded(planted: Population, here: Path) -> Path:
    """Features 0 to 3 are to be explained by a batch job."""
    result = run("explain", planted.folder, "--run", "run", *NOWHERE, "--features", "0-3", "--batch")
    assert result.code == 0, result.err
    return here / "run"


def submit(*options: str) -> tuple[Result, dict[str, object]]:
    """Writes files, and tells what it did."""
    result = run("batch", "submit", "run", "--files-only", "--json", *options)
    return result, json.loads(result.out) if result.out else {}


def collect(*files: Path) -> dict[str, object]:
    """Takes in results, and tells what it did."""
    result = run("batch", "collect", "run", *files, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def written(told: Mapping[str, object]) -> dict[str, int]:
    """Lines by file, of what a submitting told."""
    return cast("dict[str, int]", told["written"])


def files(folder: Path) -> list[Path]:
    """The request files that are there."""
    return sorted((folder / "batch").glob("requests-*.jsonl"))


def rounds(folder: Path, out: Path) -> list[list[str]]:
    """Submits, answers and collects to the end; the keys of each round."""
    asked: list[list[str]] = []
    while True:
        submit()
        if not (left := files(folder)):
            return asked
        asked.append(keys(requests(*left)))
        collect(answer_files(out, *left))
        assert len(asked) < 12


def same(folder: Path, other: Path) -> None:
    """Two runs hold the same records, except when they were written and what that cost."""

    def records(path: Path, name: str) -> list[str]:
        out = []
        for line in whole_lines(path / name):
            usage = line.get("usage")
            rest = {k: v for k, v in line.items() if k not in ("created", "usage")}
            tokens = {k: v for k, v in usage.items() if k != "dollars"} if isinstance(usage, dict) else None
            out.append(json.dumps([rest, tokens], sort_keys=True))
        return sorted(out)

    for name in ("explanations.jsonl", "scores.jsonl", "failures.jsonl"):
        assert records(folder, name) == records(other, name), name


def test_a_batch_job_ends_in_the_records_of_a_plain_run(done: Done, planted: Population, here: Path) -> None:
    """All twelve features, explained and scored with controls; no question is written twice."""
    run("explain", planted.folder, "--run", "run", *NOWHERE, "--batch")
    planning = run("score", "run", "--batch")

    asked = rounds(here / "run", here / "out.jsonl")

    assert planning.code == 0, planning.err
    every = [key for one in asked for key in one]
    assert len(every) == len(set(every)) == len(done.questions)
    assert len(asked) == 2
    same(here / "run", done.run)


def test_the_ordinary_commands_finish_from_the_cache(recorded: Path, planted: Population, here: Path) -> None:
    """Four explanations without a call; so does `score`, once its own files are answered."""
    submit()
    collect(answer_files(here / "out.jsonl", *files(recorded)))

    explained = run("explain", planted.folder, "--run", "run", *NOWHERE, "--features", "0-3", "--json")
    run("score", "run", "--batch")
    rounds(recorded, here / "out.jsonl")
    scored = run("score", "run", "--json")

    told, after = json.loads(explained.out), json.loads(scored.out)
    assert (explained.code, told["done"], told["requests"], told["cached"]) == (0, 4, 0, 4)
    assert (scored.code, after["before"], after["requests"]) == (0, 4, 0)
    assert sorted(explanations(recorded)) == sorted(scores(recorded)) == [0, 1, 2, 3]


def test_calibrating_by_batch_gives_the_calibration_of_a_plain_run(seer: StandIn, here: Path) -> None:
    usual = ("calibrate", "--calls", "12", "--planted-sides", "64", "--model", "seer", "--base-url", seer.url)
    plain = run(*usual, "--out", "plain/judge.json", "--cache", "plain-cache")
    planning = run(*usual, "--out", "run/judge.json", "--batch")

    asked = rounds(here / "run", here / "out.jsonl")

    assert (plain.code, planning.code) == (0, 0), plain.err + planning.err
    (one,) = asked
    assert len(one) == len(set(one)) == len(seer.calls)
    told = [json.loads((here / folder / "judge.json").read_text()) for folder in ("plain", "run")]
    for calibration in told:
        del calibration["created"], calibration["usage"]
        for form in calibration["formats"]:
            form.pop("dollars_per_1000", None)
    assert told[0] == told[1]


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_torn_repeated_and_foreign_lines_lose_and_double_nothing(
    recorded: Path, planted: Population, here: Path, seed: int
) -> None:
    """Results come in three parts in random order, with every kind of rubbish between them."""
    submit()
    asked = requests(*files(recorded))
    chance = random.Random(seed)
    lines = [json.dumps(answered(line)).encode() + b"\n" for line in asked] * 2
    lines += [json.dumps(answered(asked[0]) | {"custom_id": "f" * 64}).encode() + b"\n"]
    lines += [b"\n", b"{not json\n", b"[]\n", b'{"custom_id": 7}\n', b'{"custom_id": "x"}\n', b"\xff\xfe\n", b"null\n"]
    lines += [json.dumps({"custom_id": keys(asked)[0], "response": {"status_code": "200"}}).encode() + b"\n"]
    chance.shuffle(lines)
    parts = [here / f"part-{i}.jsonl" for i in range(3)]
    for i, part in enumerate(parts):
        part.write_bytes(b"".join(lines[i::3]))
    torn = here / "torn.jsonl"
    torn.write_bytes(json.dumps(answered(asked[1])).encode()[:-30])
    chance.shuffle(parts)

    told = [collect(parts[0]), collect(parts[1], torn), collect(*parts)]
    submit()

    assert sum(int(str(t["answers"])) for t in told) == 4
    assert [t["unknown"] for t in (told[2],)] == [1]
    assert told[2]["n_broken"] == 7
    assert f"{torn}:1: not JSON, torn at the end of the file" in str(told[1]["broken"])
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]
    assert failures(recorded) == []
    assert files(recorded) == []


def test_collecting_twice_changes_nothing(recorded: Path, here: Path) -> None:
    submit()
    out = answer_files(here / "out.jsonl", *files(recorded))

    first, second = collect(out), collect(out)

    assert (first["answers"], first["repeated"], first["dollars"]) == (4, 0, 0.0)
    assert (second["answers"], second["repeated"]) == (0, 4)


def test_of_several_answers_the_first_usable_one_holds(recorded: Path, here: Path) -> None:
    """Prose, then a circle, then a square, for the same question: the circle; nothing is asked again."""
    submit()
    first, *others = requests(*files(recorded))
    circle, square = (
        json.dumps(
            {"candidates": [name], "verdict": "one", "explanation": f"a {name}", "concepts": [name]}
            | {"lookalikes": "", "misfits": []}
        )
        for name in ("circle", "square")
    )
    said = [answered(first, text) for text in ("Many shapes.", circle, square)]
    out = write(here / "out.jsonl", [*said, *(answered(line) for line in others)])

    told = collect(out)
    after, _ = submit()

    assert (told["answers"], told["repeated"], told["unusable"]) == (5, 1, {"malformed": 1})
    assert after.code == 0
    assert [e.text for e in explanations(recorded).values()].count("a circle") == 1
    assert files(recorded) == []


def test_what_was_partly_answered_is_not_written_again_until_asked_for(recorded: Path, here: Path) -> None:
    """Two of four lines come: the others wait; `--again` writes them anew, and late answers to the old file count."""
    submit()
    asked = requests(*files(recorded))
    part = write(here / "part.jsonl", [answered(line) for line in asked[:2]])

    told = collect(part)
    _, waiting = submit()
    _, again = submit("--again")
    (new,) = files(recorded)
    late = write(here / "late.jsonl", [answered(line) for line in asked[2:]])
    collected = collect(late)

    assert (told["answers"], told["missing"]) == (2, 2)
    assert (waiting["written"], waiting["waiting"]) == ({}, 2)
    assert again["written"] == {new.name: 2}
    assert (collected["answers"], collected["missing"], collected["removed"]) == (2, 0, [new.name])


def test_errors_are_written_again_and_counted_by_kind(recorded: Path, here: Path) -> None:
    """A 500, a 429, an expired and an answered line: three are written again, then answered."""
    submit()
    a, b, c, d = requests(*files(recorded))
    out = write(here / "out.jsonl", [failed(a, 500), failed(b, 429), expired(c), answered(d), failed(d, 500)])

    told = collect(out)
    _, after = submit()
    (new,) = files(recorded)
    asked_again = keys(requests(new))
    collect(answer_files(here / "more.jsonl", new))
    submit()

    assert told["errors"] == {"http_500": 1, "rate_limited": 1, "batch_expired": 1}
    assert (told["answers"], told["repeated"], told["unanswered"]) == (1, 1, 3)
    assert after["written"] == {new.name: 3}
    assert sorted(asked_again) == sorted(keys([a, b, c]))
    assert sorted(explanations(recorded)) == [0, 1, 2, 3]


def test_a_malformed_reply_is_asked_once_more_as_the_door_does(recorded: Path, planted: Population, here: Path) -> None:
    """Feature by feature: prose twice is a failure, prose then an answer is none, of two calls."""
    submit()
    first, second, *others = requests(*files(recorded))
    out = [answered(first, "Shapes."), answered(second, "Shapes."), *(answered(line) for line in others)]
    told = collect(write(here / "out.jsonl", out))

    submit()
    repeats = requests(*files(recorded))
    collect(write(here / "more.jsonl", [answered(repeats[0], "Shapes again."), answered(repeats[1])]))
    result, _ = submit()

    assert told["unusable"] == {"malformed": 2}
    assert len(repeats) == 2
    assert all(len(body["messages"]) == 4 for line in repeats if isinstance(body := line["body"], dict))
    assert result.code == 1
    assert sorted(e.usage.calls for e in explanations(recorded).values()) == [1, 1, 2]
    (failure,) = failures(recorded)
    assert (failure.stage, failure.kind, failure.attempts) == ("explain", "malformed", 2)


def test_a_refusal_becomes_a_recorded_failure_and_may_be_tried_again(
    recorded: Path, seer: StandIn, planted: Population, here: Path
) -> None:
    """Recorded once, when the command is run from the cache; the next run of it asks."""
    submit()
    first, *others = requests(*files(recorded))
    refused = answered(first, "", refusal="I can't help\nwith shapes.")
    collect(write(here / "out.jsonl", [refused, *(answered(line) for line in others)]))
    ordinary = ("explain", planted.folder, "--run", "run", "--model", "seer", "--features", "0-3", "--json")

    told = [json.loads(run(*ordinary, "--base-url", seer.url).out) for _ in range(2)]

    assert [(t["done"], t["failed"], t["requests"]) for t in told] == [(3, 1, 0), (1, 0, 1)]
    (failure,) = failures(recorded)
    assert (failure.kind, failure.message) == ("refused", "I can't help with shapes.")


def test_a_refused_sheet_is_judged_in_halves_in_the_next_round(done: Done, planted: Population, here: Path) -> None:
    """One of a feature's sheets is refused, as a plain run meets it: both halves are written, the score has no gap."""
    run("explain", planted.folder, "--run", "run", *NOWHERE, "--features", "0", "--batch")
    submit()
    collect(answer_files(here / "out.jsonl", *files(here / "run")))
    run("score", "run", "--controls", "0", "--scorers", "detection", "--batch")
    submit()
    first, *others = requests(*files(here / "run"))
    collect(write(here / "out.jsonl", [answered(first, "", refusal="no"), *(answered(line) for line in others)]))

    _, halves = submit()
    collect(answer_files(here / "more.jsonl", *files(here / "run")))
    submit()

    assert sum(written(halves).values()) == 2
    assert scores(here / "run")[0].model_dump()["value"] == scores(done.run)[0].model_dump()["value"]
    assert failures(here / "run") == []


def test_second_passes_go_into_the_first_files(planted: Population, here: Path) -> None:
    """Explaining with a domain takes one round: 4 explanations, 4 second passes, 4 of shuffled sets."""
    domain = ("--domain", "physical-plausibility", "--features", "0-3")
    run("explain", planted.folder, "--run", "run", *NOWHERE, *domain, "--batch")

    asked = rounds(here / "run", here / "out.jsonl")

    assert [len(one) for one in asked] == [12]
    assert all(e.domain and e.shuffled for e in explanations(here / "run").values())


def test_judging_on_goes_from_round_to_round(seer: StandIn, planted: Population, here: Path) -> None:
    """`--interval` asks for as much as the answers so far call for; the records equal those of a plain run."""
    narrow = ("--interval", "0.05", "--max-calls", "9", "--scorers", "detection", "--controls", "0")
    for folder, more in (("plain", ("--cache", "plain-cache")), ("run", ("--batch",))):
        usual = ("--run", folder, "--model", "seer", "--base-url", seer.url, "--features", "0-1")
        run("explain", planted.folder, *usual, *more)
        if folder == "plain":
            run("score", folder, *narrow, *more)
    run("score", "run", *narrow, "--batch")

    rounds(here / "run", here / "out.jsonl")

    same(here / "run", here / "plain")


def test_files_are_split_at_both_limits(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 3 lines a file: 4 questions make files of 3 and 1; no more bytes than the longest line: one each."""
    monkeypatch.setattr(batch_submitting, "Outbox", partial(Outbox, most_lines=3))
    _, by_lines = submit()
    first = keys(requests(*files(recorded)))
    longest = max(len(line) for file in files(recorded) for line in file.read_bytes().splitlines(keepends=True))
    monkeypatch.setattr(batch_submitting, "Outbox", partial(Outbox, most_bytes=longest))

    _, by_bytes = submit("--again")

    assert list(written(by_lines).values()) == [3, 1]
    assert list(written(by_bytes).values()) == [1, 1, 1, 1]
    assert sorted(keys(requests(*files(recorded)))) == sorted(first)
    assert all(file.stat().st_size <= longest for file in files(recorded))


def test_the_budget_holds_for_what_is_written(recorded: Path, here: Path) -> None:
    """Room for about one question of four; the next submit has as much again."""
    _, all_of_it = submit()
    each = cast("dict[str, float]", all_of_it["expected"])["tokens"] / 4

    result, told = submit("--again", "--budget", f"{int(each * 1.5)} tokens")
    _, more = submit("--budget", f"{int(each * 1.5)} tokens")

    assert (result.code, told["stopped"], told["waiting"]) == (3, "over budget", 1)
    assert more["waiting"] == 2
    assert failures(recorded) == []


def test_no_key_stands_in_any_file(planted: Population, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOINTERP_API_KEY", "sk-secret-0123")
    run("explain", planted.folder, "--run", "run", *NOWHERE, "--features", "0", "--batch")
    submit()
    (request,) = requests(*files(here / "run"))
    out = write(here / "out.jsonl", [failed(request, 401, "Incorrect API key provided: sk-secret-0123")])

    said = run("batch", "collect", "run", out)

    assert "http_401" in said.out
    assert "sk-secret" not in said.out + said.err
    on_disk = [f.read_bytes() for f in here.rglob("*") if f.is_file() and f != out]
    assert not any(b"sk-secret" in data for data in on_disk)


def test_what_cannot_be_is_one_line(planted: Population, explain: Command, here: Path) -> None:
    explain("--features", "0")

    says(
        run("batch", "submit", "run", "--files-only"),
        "run: no batch is planned here; give the `explain`, `score` or `calibrate` command with --batch first",
    )
    says(
        run("explain", planted.folder, "--run", "other", "--model", "local", "--batch"),
        "--batch with --model local: the embedded model answers at once; leave --batch out",
    )
    says(
        run("explain", planted.folder, "--run", "other", "--model", "m", "--base-url", "http://me:pw@host", "--batch"),
        "--base-url holds a user name or password; put the key into AUTOINTERP_API_KEY instead",
    )
    assert not (here / "other").exists()
    run("score", "run", "--batch")
    says(
        run("batch", "collect", "run", "nothing.jsonl"),
        "nothing.jsonl: no such file; name a result file, or none to ask the endpoint",
    )
    plan = here / "run" / "batch" / "plan.json"
    plan.write_text(plan.read_text().replace("autointerp-batch/1", "autointerp-batch/9"))
    says(
        run("batch", "status", "run"),
        "run/batch/plan.json: format is 'autointerp-batch/9', this version reads 'autointerp-batch/1'; "
        "give the command with --batch again",
    )


def test_a_run_opened_by_batch_is_an_ordinary_run(recorded: Path) -> None:
    """run.json is there from the recording on, and names the model."""
    assert open_run(recorded).info.explain.model.model == "seer"
