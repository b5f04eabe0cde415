"""The entry point: puts the commands together, and turns users' errors into one line and exit code 2."""

import atexit
import contextlib
import os
import signal
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli import (
    batch,
    calibrate,
    compare,
    dumps,
    estimating,
    harvest,
    merge,
    reports,
    scoring,
    train,
    tune,
    work,
)
from autointerp.errors import AutointerpError, SettingsError, one_line
from autointerp.version import __version__

INTERRUPTED = 130
"""Exit code after an interrupt, as shells have it."""

app = typer.Typer(
    name="autointerp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(work.demo)
app.command()(dumps.inspect)
app.add_typer(dumps.importing, name="import")
app.add_typer(train.training, name="train")
app.command()(harvest.harvest)
app.command()(work.explain)
app.command()(scoring.score)
app.command()(tune.tune)
app.command()(merge.merge)
app.command()(calibrate.calibrate)
app.add_typer(batch.batching, name="batch")
app.command()(reports.report)
app.command()(compare.compare)
app.command()(reports.status)
app.command()(estimating.estimate)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"autointerp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="AUTOINTERP_CONFIG",
            help="A TOML file of defaults: a table for each command, keys named as its options.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Explain the sparse features of vision models from their top-activating image crops, and score each explanation.

    Start with `autointerp demo`, then `autointerp explain DUMP --run RUN`, `autointerp score RUN`,
    `autointerp report RUN`.
    """
    if config is not None:
        context.default_map = _defaults(config)


def _defaults(path: Path) -> dict[str, object]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as e:
        raise SettingsError(f"--config {path}: no such file") from e
    except (OSError, ValueError) as e:
        raise SettingsError(f"--config {path}: {e}") from e
    return _checked(path, "", typer.main.get_group(app), tables)


def _checked(path: Path, name: str, command: object, table: object) -> dict[str, object]:
    """A command's table with its keys as parameters; of a group of commands, a table of such tables."""
    if (inner := getattr(command, "commands", None)) is None:
        known = {p.name: p for p in getattr(command, "params", ())}
        given = {key.replace("-", "_"): value for key, value in table.items()} if isinstance(table, dict) else {}
        if unknown := sorted(given.keys() - known.keys()):
            raise SettingsError(f"--config {path}: [{name}] has no option {unknown[0]!r}")
        # One text for a repeatable option is one value, not a list of letters.
        several = {key for key, p in known.items() if getattr(p, "multiple", False)}
        return {key: [value] if key in several and isinstance(value, str) else value for key, value in given.items()}
    out: dict[str, object] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        where = f"{name}.{key}" if name else key
        if key not in inner or not isinstance(value, dict):
            raise SettingsError(f"--config {path}: [{where}] is no command; there is {', '.join(inner)}")
        out[key] = _checked(path, where, inner[key], value)
    return out


def main() -> None:
    """Runs the command line."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script has it ignored in what it starts in the background; who sends it all the same means it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except AutointerpError as e:
        sys.stderr.write(f"autointerp: {one_line(str(e))}\n")
        raise SystemExit(2) from None
    except SystemExit as e:
        if e.code == INTERRUPTED:
            _leave()
        raise


def _leave() -> None:
    """Ends the process without waiting for threads, one of which may be blocked in a read or a long decode."""
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)
