"""Scores texts that are right or wrong in known ways by pictures made of them: which scorer sees which fault?

python -m benchmarks.truth.generation            # some 10 minutes of processor time
python -m benchmarks.truth.generation --quick    # one small population: some 2 minutes
python -m benchmarks.truth.generation --write    # also writes table.json and the tables of README.md beside it
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import torch

from benchmarks.figures import put_tables
from benchmarks.truth.generation.stages import QUICK, Size, measured
from benchmarks.truth.generation.tables import MARKS, Tables, markdown, tables_of

JSON = Path(__file__).with_name("table.json")
README = Path(__file__).with_name("README.md")


def put(tables: Tables) -> None:
    """Writes the tables into README.md."""
    put_tables(README, {name: markdown(rows) for name, rows in tables.items()}, MARKS)


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small population, two judges, two ways of painting")
    parser.add_argument("--write", action="store_true", help="write table.json and README.md")
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("--write with --quick: the page states the whole run's figures")
    size = QUICK if given.quick else Size()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # The stand-in takes any key; what earlier runs asked must not answer.
        os.environ |= {"AUTOINTERP_CACHE": str(Path(folder) / "cache"), "OPENAI_API_KEY": "none"}
        tables = tables_of(measured(Path(folder), size), size)
    for name, rows in tables.items():
        print(f"{name}\n\n{markdown(rows)}\n")
    if given.write:
        JSON.write_text(json.dumps(tables, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        put(tables)


if __name__ == "__main__":
    main()
