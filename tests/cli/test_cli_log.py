"""What `--log FILE` holds."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from standin.commands import all_commands, run

from autointerp.cli.log import Logged
from autointerp.cli.progress import Live
from autointerp.lmm.gateway import Tally
from autointerp.lmm.limits import Limiter

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"


def untimed(path: Path) -> list[str]:
    """Its lines without their times, which each has."""
    lines = path.read_text().splitlines()
    assert [line for line in lines if not re.match(rf"{TIME} ", line)] == []
    return [line.partition(" ")[2] for line in lines]


def test_every_command_has_it():
    assert [name for name, command in all_commands().items() if "log" not in {p.name for p in command.params}] == []


def test_it_holds_what_stands_on_stderr_and_stderr_stays_as_it_is(tmp_path: Path):
    without = run("status", tmp_path / "nowhere")

    logged = run("status", tmp_path / "nowhere", "--log", tmp_path / "deep" / "status.log")

    assert (logged.code, logged.err, logged.out) == (2, without.err, "")
    assert untimed(tmp_path / "deep" / "status.log") == logged.err.splitlines()


def test_a_second_command_adds_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_LOG", str(tmp_path / "all.log"))

    run("status", tmp_path / "first")
    run("status", tmp_path / "second")

    assert [line.split(":")[1].rpartition("/")[2] for line in untimed(tmp_path / "all.log")] == ["first", "second"]


def test_with_json_it_holds_events_with_their_times_and_other_lines_as_events(tmp_path: Path):
    shown = (tmp_path / "shown").open("w")
    with shown:
        stderr = Logged(shown, tmp_path / "log", as_json=True)
        stderr.write('{"event": "note", "te')
        stderr.write('xt": "a"}\nautointerp: wrong\nnot yet whole')

    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())

    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {"event": "note", "text": "a"}
    assert {k: second[k] for k in ("event", "text")} == {"event": "line", "text": "autointerp: wrong"}
    assert (tmp_path / "shown").read_text().endswith("autointerp: wrong\nnot yet whole")


def test_the_traceback_of_a_bug_is_in_it(tmp_path: Path):
    program = "import sys; from pathlib import Path; from autointerp.cli.log import keep; "
    program += "keep(Path(sys.argv[1]), as_json=False); 1 / 0"

    done = subprocess.run([sys.executable, "-c", program, tmp_path / "log"], capture_output=True, text=True)

    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert untimed(tmp_path / "log") == done.stderr.splitlines()


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path):
    (tmp_path / "file").touch()

    refused = run("status", tmp_path, "--log", tmp_path / "file" / "log")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"autointerp: --log {tmp_path / 'file' / 'log'}: ")


def test_a_log_that_can_no_longer_be_written_is_told_once_and_ends_nothing(tmp_path: Path):
    shown = tmp_path / "shown"
    with shown.open("w") as file:
        stderr = Logged(file, tmp_path, as_json=False)  # a folder
        stderr.write("one\ntwo\n")

    told = shown.read_text().splitlines()
    assert [line for line in told if line.startswith("--log")] == [
        f"--log {tmp_path}: Is a directory; nothing more is written to it"
    ]
    assert {"one", "two"} < set(told)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_log_has_plain_lines_and_the_terminal_its_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    terminal, tally = Terminal(), SimpleNamespace(tally=Tally(), limiter=Limiter(8))
    monkeypatch.setattr(sys, "stderr", Logged(terminal, tmp_path / "log", as_json=False))

    progress = Live(as_json=False)
    progress.note("asking seer")
    with progress.show("explain", tally, 12, 12):  # pyright: ignore[reportArgumentType] - as far as it is looked at
        pass
    progress.count("encode", 4, 4)
    progress.close()

    assert "━━━━" in terminal.getvalue()
    first, second, last = untimed(tmp_path / "log")
    assert first == "asking seer"
    assert second.startswith("explain: 12/12 · 0 in flight")
    assert last == "encode: 4/4"


def test_nothing_is_added_to_a_file_that_is_no_log(tmp_path: Path):
    (tmp_path / "dump.json").write_text('{"format": "autointerp-dump/1"}\n')

    refused = run("status", tmp_path, "--log", tmp_path / "dump.json")

    assert (
        refused.err
        == f"autointerp: --log {tmp_path / 'dump.json'}: holds something else than a log; name another file\n"
    )
    assert (refused.code, (tmp_path / "dump.json").read_text()) == (2, '{"format": "autointerp-dump/1"}\n')
