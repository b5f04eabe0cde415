"""A Ray cluster on this machine whose nodes share no folder: each is a `ray start` with a working folder of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

READY = "will now block forever"
"""What a node says once it has joined."""
MARK = "AUTOINTERP_TEST_NODE"
"""In the environment of every process of a node: its folder."""
OPEN = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""For the nodes and for whoever connects to them: else a head asks for a token where this user happens to have one."""
ANY_PORT = ("--min-worker-port=0", "--max-worker-port=0")
"""Whichever is free, since all nodes share this machine's."""
_TRIES = 5


class Nodes:
    """A head without a core, and nodes of so many cores; all processes of all of them are killed at the end.

    Args:
        folder: each node gets a folder below it, to work in and for its cache.
        n: nodes to begin with.
        cores: of each.
        grace: seconds that a node has to end its work once it gets SIGTERM.
    """

    def __init__(self, folder: Path, n: int, *, cores: int = 2, grace: float = 30.0) -> None:
        self._folder, self._first, self._cores, self._grace = folder, n, cores, grace
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""
        self._made = 0

    def __enter__(self) -> "Nodes":
        try:
            self.begin_head()
            for _ in range(self._first):
                self.add()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def begin_head(self) -> None:
        """Begins the head, at a port that Ray finds."""
        said = self._begin("head", "--head", "--port=0", "--num-cpus=0", "--include-dashboard=false")
        self.address = said.partition("--address='")[2].partition("'")[0]

    def add(self) -> str:
        """Begins a node; its name."""
        name = f"node-{self._made}"
        self._made += 1
        self._begin(name, f"--address={self.address}", f"--num-cpus={self._cores}")
        return name

    def folder(self, name: str) -> Path:
        """Where a node works."""
        return self._folder / name

    def terminate(self, name: str) -> None:
        """Sends SIGTERM to a node, as whoever shuts a machine down does."""
        self._processes[name].terminate()

    def wait(self, name: str) -> None:
        """Waits until a node has ended."""
        self._processes[name].wait()

    def kill(self, name: str) -> None:
        """Kills all processes of a node, as where its machine goes."""
        for pid in processes_of(self.folder(name)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._processes.pop(name).wait()

    def _begin(self, name: str, *options: str) -> str:
        """Begins a node, once more where Ray gave up over it, as it does on a busy machine; what it says."""
        home = self.folder(name)
        home.mkdir(parents=True, exist_ok=True)
        own = {
            "AUTOINTERP_CACHE": str(home / "cache"),
            MARK: str(home),
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(self._grace),
        }
        command = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *ANY_PORT, *options)
        log, nothing, said = home / "ray.log", subprocess.DEVNULL, ""
        for _ in range(_TRIES):
            with log.open("wb") as out:
                self._processes[name] = process = subprocess.Popen(
                    command, stdin=nothing, stdout=out, stderr=out, cwd=home, env=os.environ | OPEN | own
                )
            while READY not in (said := log.read_text()) and process.poll() is None:
                time.sleep(0.1)
            if READY in said:
                return said
        raise AssertionError(f"{name} did not begin:\n{said}")

    def _end(self) -> None:
        for name in list(self._processes):
            self.kill(name)


def processes_of(folder: Path) -> list[int]:
    """The processes of a node."""
    mark, found = f"{MARK}={folder}\0".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found
