"""Runs the command line in this process, as its entry point does."""

import contextlib
import gc
import io
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import typer
from standin.mind import Question
from typer.core import TyperCommand

from autointerp.cli.generate import Lazy
from autointerp.cli.main import main, program


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
    with (
        mock.patch.object(sys, "argv", command),
        # Every client reads all authorities of the world first; the stand-ins speak plain HTTP.
        mock.patch.object(ssl.SSLContext, "load_verify_locations"),
        # What other tests left here does not stay to the end.
        mock.patch.object(gc, "freeze"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    return Result(code, out.getvalue(), err.getvalue())


def all_commands() -> dict[tuple[str, ...], TyperCommand]:
    """Each command by the words that call it."""
    found: dict[tuple[str, ...], TyperCommand] = {}

    def look(group: Lazy, words: tuple[str, ...]) -> None:
        context = typer.Context(group)
        for name in group.list_commands(context):
            inner = group.get_command(context, name)
            if isinstance(inner, Lazy):
                look(inner, (*words, name))
            elif inner is not None:
                found[*words, name] = inner

    look(program(), ())
    return found


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
