"""What the page of errors says that one sees is what one sees."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.commands import run
from standin.pages import FENCE, REPLY, ROOT
from standin.server import StandIn

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
ADDRESS = "http://localhost:8000/v1"
YES = json.dumps(REPLY | {f"image_{i}": "yes" for i in range(1, 41)})


def entries() -> Iterator[tuple[str, str, str, str]]:
    """Of each entry its heading, what the server does, the commands, and what one sees."""
    for part in TEXT.split("\n### ")[1:]:
        server = re.search(r"<!-- the server: (.+?) -->", part)
        (_, commands), (_, seen) = FENCE.findall(part)
        yield part.partition("\n")[0], server[1] if server else "", commands, seen


def arrange(server: StandIn, does: str) -> None:
    status, _, message = does.partition(" ")
    server.key = "right" if does == "401" else None
    server.status = (int(status), message) if status.isdecimal() and message else None
    said = YES if does in ("answers", "says yes to everything") else message
    server.text_of = lambda question, value: said


def typed(line: str) -> str:
    """What a shell shows after a line of an entry."""
    if line.startswith("autointerp "):
        done = run(*shlex.split(line)[1:])
        return done.out + done.err
    if line.startswith("export "):
        os.environ.update(word.split("=") for word in line.split()[1:])
    else:
        subprocess.run(line, shell=True, check=True)
    return ""


def test_there_are_twenty_errors_and_more():
    assert len(list(entries())) >= 20


@pytest.mark.slow
def test_every_entry_shows_what_one_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("docs", "autointerp"):
        (tmp_path / name).symlink_to(ROOT / name)
    typed(f"{shlex.quote(sys.executable)} docs/tutorial_images.py top-images")
    typed("autointerp import folder top-images DUMP --silent-from-others 40")
    unseen: dict[str, str] = {}
    with StandIn() as server:
        for heading, does, commands, seen in entries():
            arrange(server, does)
            with monkeypatch.context() as patch:
                for name in ("XDG_CONFIG_HOME", "AUTOINTERP_API_KEY"):
                    patch.setenv(name, os.environ.get(name, ""))
                shown = "".join(typed(line.replace(ADDRESS, server.url)) for line in commands.splitlines())
            shown = shown.replace(server.url, ADDRESS).replace(str(tmp_path), "PATH")
            unseen |= {f"{heading}: {line}": shown for line in seen.splitlines() if line not in shown}

    assert unseen == {}
