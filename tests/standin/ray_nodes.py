"""A Ray cluster of `ray start` processes on this machine, each with a working folder and a cache of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

MARK = "AUTOINTERP_TEST_NODE"
"""In the environment of all processes of a node: the test's process, and the node's name."""


TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of-no-use-anywhere-else-0123456789abcdef"}
"""What a driver needs in its environment, as have all nodes."""


class RayNodes:
    """A head that runs nothing, and nodes of one core each; all end with the block, and what they started.

    Args:
        folder: of the nodes' working folders.
        names: of the nodes; the head is called `head`.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self._names = names
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "RayNodes":
        # A socket below a test's own folder would have too long a name.
        self._scratch = tempfile.mkdtemp(prefix="ray-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        head = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._scratch}")
        try:
            self._start("head", *head, "--num-cpus=0")
            self._wait_for("head")
            for name in self._names:
                self.add(name)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in [path.name for path in self.folder.iterdir()]:
            self.kill(name)
        for one in self._started:
            one.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, name: str) -> None:
        """Starts a node."""
        self._start(name, f"--address={self.address}", "--num-cpus=1")
        self._wait_for(name)

    def kill(self, name: str) -> None:
        """A node is lost, with all of its processes."""
        for process in self.processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def processes(self, name: str, title: str = "") -> list[int]:
        """The processes of a node whose titles begin so."""
        found, mark = [], f"{MARK}={os.getpid()}-{name}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                called, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            except OSError:
                continue
            if called.startswith(title.encode()) and mark in environment:
                found.append(int(process.name))
        return found

    def wait_until_runs(self, name: str, task: str, seconds: float = 180) -> bool:
        """Whether a node came to run a task of this name."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.processes(name, f"ray::{task}"):
                return True
            time.sleep(0.05)
        return False

    def _start(self, name: str, *options: str) -> None:
        home = self.folder / name
        home.mkdir(parents=True)
        own = {MARK: f"{os.getpid()}-{name}", "AUTOINTERP_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"} | TOKEN
        ray = Path(sys.executable).with_name("ray")
        command = [str(ray)] if ray.exists() else [sys.executable, "-m", "ray.scripts.scripts"]
        usual = ("--block", "--disable-usage-stats", "--object-store-memory=80000000")
        with (home / "log").open("wb") as log:
            started = subprocess.Popen(
                [*command, "start", *options, *usual], cwd=home, env=os.environ | own, stdout=log, stderr=log
            )
        self._started.append(started)

    def _wait_for(self, name: str) -> None:
        log = self.folder / name / "log"
        for _ in range(1200):
            said = log.read_bytes()
            if b"--block" in said:
                return
            if b"Traceback" in said:
                break
            time.sleep(0.1)
        raise AssertionError(log.read_text())
