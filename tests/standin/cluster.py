"""A Ray cluster on this machine whose nodes share no folder: each has a working folder and a cache of its own.

Started by itself it begins one, prints its address, and ends with its standard input:
`python -m standin.cluster FOLDER N`.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType


class Nodes:
    """A cluster of so many nodes of two cores, in a process of its own; the environment is that of now."""

    def __init__(self, folder: Path, n: int) -> None:
        self._command = (sys.executable, __file__, str(folder), str(n))

    def __enter__(self) -> str:
        """Its address."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("address "):
                return line.split()[1]
        raise AssertionError("the cluster did not begin")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main(folder: Path, n: int) -> None:
    """Begins a cluster, and ends it with the standard input."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for i in range(n):
        home = folder / f"node-{i}"
        home.mkdir(parents=True)
        # What a node's workers have in their environment is what it was begun with.
        os.environ["AUTOINTERP_CACHE"] = str(home / "cache")
        cluster.add_node(num_cpus=2)
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
