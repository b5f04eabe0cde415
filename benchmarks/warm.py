"""`explain` over a dump with an empty cache, against the same into another run folder with the cache that it made.

The endpoint answers after 200 ms. How much is saved depends on how many requests are in flight, since waiting in
parallel costs little: so it is measured at several. Each run is a process of its own; the time is the one that the
command states, from opening the dump to closing the run; the whole process, Python's start included, stands beside it.

python benchmarks/warm.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from dumps import photograph, write_dump
from figures import cpu_of_children, machine, stated, verdict
from stub import running

WAIT = 0.2
N_IMAGES = 120
IN_FLIGHT = {1: 100, 8: 400, 64: 1000}
"""Features explained at each number of requests in flight."""


class Took(NamedTuple):
    """Seconds of one `autointerp explain`."""

    job: float
    process: float
    cpu: float


def explain(dump: Path, run: Path, cache: Path, url: str, features: int, in_flight: int) -> Took:
    """One process."""
    before, began = cpu_of_children(), time.perf_counter()
    command = [sys.executable, "-m", "autointerp", "explain", dump, "--run", run, "--cache", cache, "--json"]
    command += [
        "--features",
        f"0-{features - 1}",
        "--concurrency",
        str(in_flight),
        "--model",
        "stub",
        "--base-url",
        url,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    process, cpu = time.perf_counter() - began, cpu_of_children() - before
    told = json.loads(done.stdout)
    assert told["done"] == features, told
    return Took(told["seconds"], process, cpu)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    got: dict[tuple[int, str], list[Took]] = {(n, kind): [] for n in IN_FLIGHT for kind in ("cold", "warm")}
    with tempfile.TemporaryDirectory() as scratch, running(WAIT) as url:
        dump = Path(scratch, "dump")
        photographs = [photograph(i) for i in range(N_IMAGES)]
        write_dump(dump, n_features=max(IN_FLIGHT.values()), photographs=photographs)
        for i in range(options.repeats):
            for in_flight, features in IN_FLIGHT.items():
                cache = Path(scratch, f"cache-{in_flight}-{i}")
                for kind in ("cold", "warm"):
                    run = Path(scratch, f"{kind}-{in_flight}-{i}")
                    got[in_flight, kind].append(explain(dump, run, cache, url, features, in_flight))
    print(machine())
    print(f"36 pictures a feature, {WAIT * 1000:.0f} ms an answer")
    for in_flight, features in IN_FLIGHT.items():
        cold, warm = got[in_flight, "cold"], got[in_flight, "warm"]
        print(f"{features} features, {in_flight} in flight:")
        for kind, found in (("cold", cold), ("warm", warm)):
            job, process, cpu = (stated(column, 2) for column in zip(*found, strict=True))
            print(f"  {kind}: {job} s; whole process {process} s, of CPU {cpu} s")
        pairs = list(zip(cold, warm, strict=True))
        print(f"  {verdict('times faster warm', [c.job / w.job for c, w in pairs], 30, at_least=True, digits=1)}")
        whole, cpu = [c.process / w.process for c, w in pairs], [c.cpu / w.cpu for c, w in pairs]
        print(f"  times faster as whole processes: {stated(whole)}; less CPU: {stated(cpu)}")


if __name__ == "__main__":
    main()
