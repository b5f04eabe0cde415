"""Starts a server as a process of its own at a port that the system gives it, waits until it answers, and ends it."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 600.0
"""Seconds until a server must answer, on a machine that is busy with other things."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")


@contextmanager
def served(command: Sequence[str | Path], health: str, log: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of the process while the context lasts; what it prints goes to `log`.

    Args:
        command: program and arguments, with port 0 and such that it prints the address at which it listens. A port
            that is chosen for it here could be another process's by the time it asks for it.
        health: path of the address that answers 200 once it is up.
        log: file to write.
        environment: variables besides the shell's own.
    """
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | dict(environment))
        try:
            yield _up(process, health, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _up(process: subprocess.Popen[bytes], health: str, log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        found = _ADDRESS.search(log.read_text())
        if found is not None and _answers(found[0] + health):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"the server did not come up; it printed: {log.read_text()[-2000:]}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False
