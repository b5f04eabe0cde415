"""Runs the command line in this process, as its entry point does."""

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from standin.mind import Question

from autointerp.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a shell would see."""

    code: int
    out: str
    err: str


def run(*args: str | Path) -> Result:
    """`autointerp ARGS`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    command = ["autointerp", *map(str, args)]
    with mock.patch.object(sys, "argv", command), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    return Result(code, out.getvalue(), err.getvalue())


def says(result: Result, line: str) -> None:
    """A shell sees this line on stderr, nothing else but who was asked before it, and exit code 2."""
    assert (result.code, result.out, unasked(result.err)) == (2, "", f"autointerp: {line}\n")


def unasked(err: str) -> str:
    """What stands on stderr without the lines that name who will be asked."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("asking "))


Command = Callable[..., Result]
"""A command with its usual options; further ones at the end hold."""


@dataclass(frozen=True)
class Done:
    """A finished run over all planted features."""

    explained: Result
    scored: Result
    run: Path
    cache: Path
    questions: tuple[Question, ...]
    """What the endpoint was asked."""
