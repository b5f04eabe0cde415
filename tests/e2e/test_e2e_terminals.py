"""Through the command line: no word from outside steers a terminal, and no address tells its key."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from standin.commands import Command, Result, run
from standin.planted import Population
from standin.server import StandIn

EVIL = "a\x1b[31m\x07\x9b2J\u202e\u200b\u2066\ufeff\x7f\rb"
SECRET = "s3cr3t"
ADDRESSES = [
    f"https://user:{SECRET}@host/v1",
    f"https:/user:{SECRET}@host/v1",
    f"http://host/v1?api_key={SECRET}",
    f"http://host/x?sv=1&sig={SECRET}",
]


def raw(text: str) -> list[str]:
    """Characters that a terminal might obey, or not show."""
    return [c for c in text if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize("url", ADDRESSES)
@pytest.mark.parametrize(
    "command",
    [
        lambda dump, url: ("explain", dump, "--run", "run", "--model", "m", "--base-url", url),
        lambda dump, url: ("explain", url, "--run", "run", "--model", "m"),
        lambda dump, url: ("explain", dump, "--run", url, "--model", "m", "--batch"),
        lambda dump, url: ("explain", dump, "--run", "run", "--model", "m", "--cache", url),
        lambda dump, url: ("report", url),
        lambda dump, url: ("calibrate", "--model", "m", "--base-url", url),
    ],
    ids=["server", "dump", "run", "cache", "report", "calibrate"],
)
def test_no_command_tells_the_key_in_an_address(
    planted: Population, here: Path, url: str, command: Callable[[Path, str], tuple[str | Path, ...]]
):
    said = run(*command(planted.folder, url), *(() if command(here, "")[0] == "report" else ("--json",)))

    assert said.code == 2
    assert SECRET not in said.out + said.err
    assert [f for f in here.rglob("*") if f.is_file() and SECRET.encode() in f.read_bytes()] == []


def test_a_dump_a_run_and_a_server_that_speak_to_the_terminal_are_not_heard(
    planted: Population, seer: StandIn, explain: Command, here: Path
):
    dump = here / "evil"
    dump.mkdir()
    for file in planted.folder.iterdir():
        (dump / file.name).symlink_to(file)
    (dump / "dump.json").unlink()
    said = json.loads((planted.folder / "dump.json").read_text("utf-8"))
    said |= {name: f"{said[name]}{EVIL}" for name in ("name", "model", "hookpoint", "created_by")}
    (dump / "dump.json").write_text(json.dumps(said), encoding="utf-8")
    asked = ("--run", "r", "--model", f"m{EVIL}", "--base-url", seer.url, "--features", "0", "--allow-outside")

    results: list[Result] = [
        run("inspect", dump),
        run("explain", dump, *asked),
        run("explain", dump, *asked, "--json"),
        run("score", "r", "--allow-outside", "--scorers", "detection"),
        run("status", "r"),
        run("status", "r", "--json"),
        run("compare", "r", shutil.copytree("r", "r2")),
        run("estimate", dump, "--models", f"m{EVIL}", "--allow-outside", "--features", "0"),
        run("explain", dump, *asked[2:], "--run", "b", "--batch"),
        run("batch", "status", "b"),
        run("batch", "submit", "b"),
    ]
    seer.status = (400, f"no {EVIL}")
    results.append(run("explain", dump, *asked[2:], "--run", "c", "--features", "1"))

    assert [r.code for r in results] == [0] * 11 + [1], [r.err for r in results if r.code]
    for said_so in results:
        assert raw(said_so.out + said_so.err) == []
