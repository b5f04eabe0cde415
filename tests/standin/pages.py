"""Runs the blocks of a page one after the other, as a reader does: shell and Python, in one folder."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import stub

ROOT = Path(__file__).parents[2]
SHELL, PYTHON = ("", "sh"), "python"
"""Languages of the blocks that are run; a block without one is of the shell."""
NOT_RUN = re.compile(r"<!-- not run( from here| in all)?: (.+?) -->", re.DOTALL)
RUN_AGAIN = "<!-- run from here -->"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = ("pip", "make", "vllm", "ollama", "llama-server", "datasette", "docker", "kubectl", "sbatch", "curl")
"""Other programs, which do nothing here."""
SERVER = re.compile(
    r"http://(?:localhost|gpu\d):\d+/v1|https://api\.openai\.com/v1"
    r"|https://generativelanguage\S+/openai|(?<=-base-url )URL\b"
)
"""Addresses in whose place the stand-in is asked."""
REPLY = {
    **stub.EXPLANATION,
    **{f"image_{i}": "yes" if i % 2 else "no" for i in range(1, 41)},
    **{"better": 1, "odd": 1, "description": 1, "sure": True, "same": "no"},
    **{"found": True, "x0": 0, "y0": 0, "x1": 500, "y1": 500},
    **{"observations": "none", "error": "", "category": "none"},
}
"""Answers whatever is asked."""
BASH = r"""
set -euo pipefail
autointerp() {  # what serves until it is stopped is stopped as soon as it says where
    if [[ "$1" != view && " $* " != *" human:"* ]]; then command autointerp "$@"; return; fi
    local said args=() word; said=$(mktemp)
    for word in "$@"; do [[ "$word" == --open ]] || args+=("$word"); done
    command autointerp "${args[@]}" >"$said" 2>&1 & local server=$!
    until grep -q http:// "$said"; do kill -0 $server || { cat "$said"; return 1; }; sleep 0.2; done
    kill -INT $server; wait $server || [[ $? == 3 ]]
}
"""


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not run."""

    @property
    def runs(self) -> bool:
        """Whether a reader would run it, or write it into a file."""
        return self.language in (*SHELL, PYTHON) or self.file is not None

    @property
    def file(self) -> str | None:
        """The file that a reader would write it into: `# autointerp.toml: …` says its name."""
        named = re.match(r"# (\w+\.toml):", self.text)
        return named[1] if named else None


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that a reader would run."""
    rest, end = None, 0
    whole = next((reason for kind, reason in NOT_RUN.findall(page) if kind == " in all"), None)
    for found in FENCE.finditer(page):
        between = page[end : found.start()]
        end = found.end()
        rest = None if RUN_AGAIN in between else rest
        said = NOT_RUN.findall(between)
        rest = next((reason for kind, reason in said if kind == " from here"), rest)
        alone = next((reason for kind, reason in said if not kind), None)
        line = page.count("\n", 0, found.start()) + 1
        block = Block(line, found[1], found[2], whole or alone or rest)
        if block.runs:
            yield block


def begins_with(page: str) -> list[str]:
    """What the page says lies in its folder: `<!-- begins with: DUMP, runs/first -->`."""
    found = re.search(r"<!-- begins with: (.*?) -->", page)
    return found[1].split(", ") if found else []


@dataclass
class Reader:
    """Who follows a page."""

    folder: Path
    url: str
    """The stand-in endpoint."""
    names: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.folder / ".venv" / "bin"
        own.mkdir(parents=True)
        (own / "activate").touch()
        for name in OTHERS:
            (own / name).write_text("#!/bin/sh\n")
            (own / name).chmod(0o755)
        for name in ("docs", "prompts", "benchmarks", "deploy", "autointerp"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / ".state").touch()

    def follow(self, block: Block) -> None:
        """Runs it; raises what went wrong with what was said."""
        text = SERVER.sub(self.url, block.text)
        if block.file is not None:
            (self.folder / block.file).write_text(text)
        elif block.language == PYTHON:
            self.python(text)
        else:
            self.shell(text)

    def python(self, text: str) -> None:
        """A block of Python, in the names of those before it."""
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(text, "block", "exec"), self.names)

    def shell(self, text: str) -> None:
        """A block of the shell, in the environment and the folder that those before it left."""
        state = self.folder / ".state"
        script = f"{BASH}\nsource {state}\n{text}\nset +x; {{ export -p; echo cd '\"'\"$PWD\"'\"'; }} > {state}\n"
        path = f"{self.folder}/.venv/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=os.environ | {"PATH": path},
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def endpoint() -> contextlib.AbstractContextManager[str]:
    """The stand-in endpoint of the pages."""
    return stub.running(0.0, json.dumps(REPLY))
