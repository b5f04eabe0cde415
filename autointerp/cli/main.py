"""The entry point: puts the commands together, and turns users' errors into one line and exit code 2."""

import atexit
import contextlib
import errno
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.documentation import folder, with_hint
from autointerp.cli.generate import Lazy, defaults, lazy
from autointerp.cli.printing import EXIT_INPUT, EXIT_STOPPED, same_again, say, say_aside
from autointerp.errors import AutointerpError, SettingsError, one_line
from autointerp.reading import read_toml
from autointerp.signals import Ending, heed
from autointerp.version import __version__

COMMANDS = {
    "demo": "demo",
    "inspect": "inspect",
    "classify": "classify",
    "harvest": "harvest",
    "explain": "explain",
    "score": "score",
    "tune": "tune",
    "merge": "merge",
    "calibrate": "calibrate",
    "report": "report",
    "view": "view",
    "export": "export",
    "compare": "compare",
    "status": "status",
    "estimate": "estimate",
}
"""Each command, and its module in `autointerp.commands`. A command is added here."""

GROUPS = {
    "import": (
        "Turn foreign files into a dump.",
        {
            "delphi": "import_delphi",
            "folder": "import_folder",
            "milan": "import_milan",
            "mt": "import_mt",
            "multimodal-sae": "import_multimodal_sae",
            "patchsae": "import_patchsae",
            "sae-for-vlm": "import_sae_for_vlm",
            "saev": "import_saev",
            "semanticlens": "import_semanticlens",
            "vision-interp": "import_vision_interp",
        },
    ),
    "train": (
        "Train what makes features: classifiers and sparse coders.",
        {
            "activations": "train_activations",
            "classifier": "train_classifier",
            "evaluate": "train_evaluate",
            "transcoder": "train_transcoder",
        },
    ),
    "benchmark": (
        "Compare image generators by the failure modes that a run found.",
        {"make": "benchmark_make", "run": "benchmark_run", "report": "benchmark_report"},
    ),
    "batch": (
        "Have the questions of `explain`, `score` or `calibrate` answered by a batch job, at half the price.",
        {"submit": "batch_submit", "status": "batch_status", "collect": "batch_collect", "run": "batch_run"},
    ),
    "prompts": ("Change what the explainer and the judge are asked.", {"copy": "prompts_copy"}),
    "cache": (
        "Look after the cache: what it holds, what is broken, what may go.",
        {"info": "cache_info", "verify": "cache_verify", "prune": "cache_prune"},
    ),
}
"""Groups of commands: what each says of itself, and its commands."""

INTERRUPTED = 130
"""Exit code where a second signal ended the work at once, as shells have it."""

_TOLD = {errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
"""Faults of a disk or a name that no part of the program makes, so that whoever meets one needs no traceback."""

app = typer.Typer(
    name="autointerp",
    cls=Lazy,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        say(f"autointerp {__version__}")
        raise typer.Exit


def _docs(asked: bool) -> None:
    if asked:
        say(str(folder()))
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
    docs: Annotated[
        bool,
        typer.Option(
            "--docs",
            callback=_docs,
            is_eager=True,
            help="Print the folder that holds the pages of the documentation.",
        ),
    ] = False,
) -> None:
    """Explain the sparse features of vision models from their top-activating image crops, and score each explanation.

    Start with `autointerp demo`, then `autointerp explain DUMP --run RUN`, `autointerp score RUN`,
    `autointerp report RUN`.
    """
    if config is not None:
        context.default_map = defaults(config, program(), _tables(config))


def program() -> Lazy:
    """Builds the whole command line."""
    inner = {name: lazy(_group(name, help_text), modules) for name, (help_text, modules) in GROUPS.items()}
    return lazy(app, COMMANDS, inner)


def _group(name: str, help_text: str) -> typer.Typer:
    group = typer.Typer(name=name, cls=Lazy, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")
    group.callback(help=help_text)(lambda: None)
    return group


def _tables(path: Path) -> dict[str, object]:
    try:
        return read_toml(path.read_text("utf-8"))
    except FileNotFoundError as e:
        raise SettingsError(f"--config {path}: no such file") from e
    except (OSError, ValueError) as e:
        raise SettingsError(f"--config {path}: {e}") from e


def main() -> None:
    """Runs the command line."""
    heed()
    try:
        _hasten()
        program()(prog_name="autointerp")
    except AutointerpError as e:
        say_aside(f"autointerp: {with_hint(one_line(str(e)))}")
        raise SystemExit(EXIT_INPUT) from None
    except OSError as e:
        if e.errno not in _TOLD:
            raise
        say_aside(f"autointerp: {e.filename or 'a file'}: {e.strerror}; mend that, or name another place")
        raise SystemExit(EXIT_INPUT) from None
    except SystemExit as e:
        if e.code == INTERRUPTED:
            _leave(e)
        elif e.code == EXIT_STOPPED and not sys.stdout.isatty():
            # A terminal has just shown it.
            say_aside(f"autointerp: {same_again()}")
        raise
    except KeyboardInterrupt as e:
        _leave(e)
    finally:
        gc.enable()


def _hasten() -> None:
    """Spares the start what others do while they are loaded."""
    # A tenth of the time would go into looking for garbage among modules; the command turns it on once it is loaded.
    gc.disable()
    # The threads of NumPy's OpenBLAS would spin for 2^26 cycles each, as soon as it is loaded, before they sleep.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # Pydantic would read the metadata of every installed package in search of plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _leave(why: BaseException) -> None:
    """Ends the process without waiting for threads, one of which may be blocked in a read or a long decode."""
    code = INTERRUPTED if Ending.at_once else EXIT_STOPPED
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        if code == EXIT_STOPPED:
            say_aside(f"autointerp: interrupted; {same_again(*_wanted(why))}")
        sys.stderr.flush()
    os._exit(code)


def _wanted(why: BaseException | None) -> tuple[str, ...]:
    """The options that going on needs, which the interrupt names."""
    while why is not None and not isinstance(why, KeyboardInterrupt):
        why = why.__cause__ or why.__context__
    return () if why is None else why.args
