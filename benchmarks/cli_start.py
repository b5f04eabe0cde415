"""CPU that `autointerp --help` takes, user and system together, and which heavy packages it loads.

python benchmarks/cli_start.py
"""

import argparse
import os
import subprocess
import sys

from figures import machine, stated, verdict

HEAVY = ("torch", "pyarrow", "openai", "numpy", "PIL", "aiohttp", "pydantic", "jinja2", "diskcache")


def cpu(*command: str) -> float:
    """Seconds of one run."""
    before = os.times()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def loaded() -> list[str]:
    """The heavy packages that are in memory once the commands are known."""
    code = f"import sys, autointerp.cli.main; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = range(parser.parse_args().repeats)
    cpu("-m", "autointerp", "--help")  # the first one compiles
    helped = [cpu("-m", "autointerp", "--help") for _ in repeats]
    explained = [cpu("-m", "autointerp", "explain", "--help") for _ in repeats]
    bare = [cpu("-c", "pass") for _ in repeats]
    print(machine())
    print(verdict("autointerp --help, s of CPU", helped, 0.3, at_least=False, digits=3))
    print(f"autointerp explain --help: {stated(explained, 3)} s; Python alone: {stated(bare, 3)} s")
    print(f"heavy packages loaded: {', '.join(loaded()) or 'none'} (of {', '.join(HEAVY)})")


if __name__ == "__main__":
    main()
