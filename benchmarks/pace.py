"""All that says how fast whole commands are, one after the other: some seven minutes on two idle cores.

python benchmarks/pace.py
python benchmarks/pace.py --peer peer/bin/python    # with the peer's figure; benchmarks/peer.py says what it needs
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

SHORT = ("pipeline.py", "--features", "240", "--few", "40", "--repeats")
RUNS = (
    ("cli_start.py", "--repeats", "7"),
    (*SHORT, "2"),
    (*SHORT, "1", "--processes", "2"),
    (*SHORT, "1", "--processes", "2", "--engine", "ray"),
    ("replay.py", "--features", "10000", "--workers", "1"),
)
PEER = ("peer.py", "--repeats", "1")


def main() -> None:
    """Runs each, and says how long it took and whether it failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="an interpreter that has the peer's library")
    peer = parser.parse_args().peer
    runs = [(sys.executable, *run) for run in RUNS] + ([(peer, *PEER)] if peer else [])
    for python, name, *options in runs:
        print(f"\n$ {name} {' '.join(options)}", flush=True)
        began = time.perf_counter()
        command = [python, Path(__file__).with_name(name), *options]
        code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
        ended = f", ended with {code}; its own command says why" if code else ""
        print(f"({time.perf_counter() - began:.0f} s{ended})", flush=True)


if __name__ == "__main__":
    main()
