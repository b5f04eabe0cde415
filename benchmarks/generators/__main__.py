"""Planted generators: what `autointerp benchmark` says of error rates, differences and ranks, against what is known.

python -m benchmarks.generators            # under 20 minutes of processor time; goes on after a stop
python -m benchmarks.generators --quick    # the same in small, about two minutes, other figures
python -m benchmarks.generators --write    # also writes table.json and the tables of docs/generators.md

Needs what `make install dev` installs and the Debian package tuxpaint-stamps-default, which it downloads with apt-get
(or --stamps FOLDER, where it is installed: /usr/share/tuxpaint/stamps).
"""

import argparse
import json
import os
import platform
from pathlib import Path

from autointerp.version import __version__
from benchmarks.generators.figures import figures_of
from benchmarks.generators.stages import QUICK, WHOLE, Clock, prepared
from benchmarks.generators.table import JSON, put, tables
from benchmarks.generators.worlds import Tables


def main() -> None:
    """Parses, runs the stages, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of all that is made")
    parser.add_argument("--quick", action="store_true", help="fewer scenes, two kinds of error, no coder but raw units")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stamps", type=Path, help="folder of the installed stamps")
    parser.add_argument("--write", action="store_true", help="write table.json and the tables of docs/generators.md")
    asked = parser.parse_args()
    if asked.write and asked.quick:
        parser.error("--write with --quick: the page states the whole run's figures")
    size = QUICK if asked.quick else WHOLE
    work = asked.work or Path("generators-work-quick" if asked.quick else "generators-work")
    clock = Clock()
    pack, stock = prepared(work, size, asked.stamps, clock, asked.seed)
    with clock.stage("worlds"):
        found = figures_of(
            Tables.of(stock, pack.pack),
            size,
            machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            version=__version__,
            cpu={},
        )
    found = found.model_copy(update={"cpu": _spent(work, clock)})
    for text in tables(found).values():
        print(text, end="\n\n")
    if asked.write:
        JSON.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        put()


def _spent(work: Path, clock: Clock) -> dict[str, int]:
    """Seconds of each stage; of one that an earlier call went through, what it took then."""
    file = work / "cpu.json"
    spent: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    for name, seconds in clock.cpu.items():
        spent[name] = max(spent.get(name, 0), round(seconds))
    file.write_text(json.dumps(spent))
    return spent


if __name__ == "__main__":
    main()
