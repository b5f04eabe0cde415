"""The entry point: puts the commands together, and turns users' errors into one line and exit code 2."""

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli import dumps, reports, work
from autointerp.errors import AutointerpError, SettingsError
from autointerp.version import __version__

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
app.command()(work.explain)
app.command()(work.score)
app.command()(reports.report)
app.command()(reports.status)
app.command()(reports.estimate)


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


def _defaults(path: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError as e:
        raise SettingsError(f"--config {path}: no such file") from e
    except (OSError, ValueError) as e:
        raise SettingsError(f"--config {path}: {e}") from e
    group = typer.main.get_group(app)
    out: dict[str, dict[str, object]] = {}
    for name, table in tables.items():
        command = group.commands.get(name)
        if command is None or not isinstance(table, dict):
            raise SettingsError(f"--config {path}: [{name}] is no command; there is {', '.join(group.commands)}")
        known = {p.name for p in command.params if p.name}
        given = {key.replace("-", "_"): value for key, value in table.items()}
        if unknown := sorted(given.keys() - known):
            raise SettingsError(f"--config {path}: [{name}] has no option {unknown[0]!r}")
        out[name] = given
    return out


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except AutointerpError as e:
        sys.stderr.write(f"autointerp: {e}\n")
        raise SystemExit(2) from None
