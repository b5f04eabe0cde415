"""Runs the command line in a process of its own that can be killed, forked from one that has everything loaded."""

import contextlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "autointerp.jobs.explain",
        "autointerp.jobs.score",
        "autointerp.cli.main",
        "openai",
        "httpx2",
        "aiohttp",
        "uvloop",
    ]
)


def start(*args: str | Path, cache: Path, ignoring: bool = False) -> ForkServerProcess:
    """`autointerp ARGS`, begun; ignoring SIGINT, as a script begins what it has in the background."""
    # Its environment is that of the first test that began one.
    config = os.environ.get("XDG_CONFIG_HOME", "")
    process = _CONTEXT.Process(target=_work, args=([str(a) for a in args], str(cache), config, ignoring))
    process.start()
    return process


def _work(args: list[str], cache: str, config: str, ignoring: bool) -> None:
    if ignoring:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    from autointerp.cli.main import main

    os.environ["AUTOINTERP_CACHE"], os.environ["XDG_CONFIG_HOME"] = cache, config
    sys.argv = ["autointerp", *args]
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        main()
