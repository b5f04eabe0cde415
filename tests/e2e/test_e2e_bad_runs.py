"""Run folders that cannot be used as asked: one short line that names the remedy, exit code 2, nothing changed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from standin.commands import Command, Done, run, says
from standin.planted import FEATURES, Population, plant
from standin.records import scores
from standin.server import StandIn

KNOWN = "detection, choice, naming, relevance, accuracy, localisation, intruder, embedding, causal, generation"


@contextmanager
def lock_of_another_process(file: Path) -> Iterator[None]:
    program = (
        "import filelock, sys; it = filelock.FileLock(sys.argv[1]); it.acquire(); print(flush=True); sys.stdin.read()"
    )
    command = (sys.executable, "-c", program, file)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        holder.communicate()


def test_run_that_another_process_writes_is_refused(seer: StandIn, explain: Command, here: Path):
    explain("--features", "0")
    before = (here / "run" / "explanations.jsonl").read_bytes()

    with lock_of_another_process(here / "run" / ".lock"):
        result = explain("--features", "1", "--run", "run")

    says(result, "run: another autointerp is writing this run; wait for it, or name another --run")
    assert (here / "run" / "explanations.jsonl").read_bytes() == before
    assert len(seer.calls) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--top", "5"), "setting --top is 8, not 5"),
        (("--model", "other"), "setting --model is 'seer', not 'other'"),
        (("--side", "100"), "setting --side is 448, not 100"),
    ],
)
def test_other_settings_in_a_run_that_has_explanations_are_refused(
    options: Sequence[str], line: str, planted: Population, done: Done, here: Path
):
    shutil.copytree(done.run, here / "run")

    result = run("explain", planted.folder, "--run", "run", "--model", "seer", *options)

    says(result, f"run: this run's explain {line}; use the same, or name another folder with --run")


def test_settings_of_an_attempt_that_explained_nothing_bind_nobody(seer: StandIn, explain: Command, here: Path):
    seer.status = (403, "not for you")
    first = explain("--features", "0", "--model", "seen")
    seer.status = None

    second = explain("--features", "0")

    assert (first.code, second.code) == (2, 0)
    assert json.loads((here / "run" / "run.json").read_text())["explain"]["model"]["model"] == "seer"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ("--scorers", "guess"),
            f"--scorers guess: no such scorer; there is {KNOWN}",
        ),
        (("--active", "4"), "--active 4: too few for a score; give at least 5"),
        (("--silent", "4"), "--silent 4: too few for detection; give at least 5, or --scorers without it"),
        (
            ("--scorers", ","),
            f"--scorers: no scorer is named; there is {KNOWN}",
        ),
        (
            ("--rendering", "blur"),
            "--judge-rendering 'blur': input should be 'full', 'zoom', 'crop', 'outline' or 'mask'",
        ),
        (("--layout", "x"), "--layout 'x': input should be 'sheet' or 'separate'"),
        (("--features", "99"), "features 99 do not exist: this dump has 0 to 15"),
        (("--dump", "gone"), "gone: not a dump, it has no dump.json; give a folder such as `autointerp import` writes"),
    ],
)
def test_bad_option_of_score_is_one_line(options: Sequence[str], line: str, done: Done, here: Path):
    shutil.copytree(done.run, here / "run")

    result = run("score", "run", *options)

    says(result, line)
    assert (here / "run" / "scores.jsonl").read_bytes() == (done.run / "scores.jsonl").read_bytes()


def test_scorer_may_be_added_to_a_scored_run(seer: StandIn, explain: Command, score: Command, here: Path):
    explain("--features", "0")
    score("--scorers", "detection")
    asked = len(seer.calls)

    result = score("--scorers", "detection,accuracy")

    assert result.code == 0
    assert len(seer.calls) == asked
    assert scores(here / "run", "accuracy").keys() == {0}


@pytest.mark.parametrize("command", ["score", "report", "status"])
def test_folder_that_is_no_run_is_one_line(command: str, planted: Population, here: Path):
    result = run(command, planted.folder)

    says(result, f"{planted.folder}: no run.json here; name a folder that `autointerp explain --run` made")


@pytest.mark.parametrize("command", ["score", "report"])
def test_moved_dump_is_one_line_until_dump_says_where_it_is(command: str, here: Path, explain: Command, seer: StandIn):
    plant(here / "dump", features=FEATURES[:1])
    plant(here / "other", features=FEATURES[1:2])
    explain(dump=Path("dump"))
    (here / "dump").rename(here / "moved")

    lost, wrong = run(command, "run"), run(command, "run", "--dump", "other")
    found = run(command, "run", "--dump", "moved")

    says(lost, f"run: its dump is no longer at {here / 'dump'}; say where it is with --dump")
    says(
        wrong,
        "other: not the dump that run was made from, or it has changed since; "
        "name the right one with --dump, or explain anew",
    )
    assert found.code == 0


def test_broken_line_of_a_run_is_named_with_its_number(done: Done, here: Path):
    shutil.copytree(done.run, here / "run")
    with (here / "run" / "explanations.jsonl").open("ab") as file:
        file.write(b'{"feature": 1}\n')

    result = run("status", "run")

    says(result, "run/explanations.jsonl:13: text: Field required; mend or delete the line")
