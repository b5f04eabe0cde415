"""The paper's own kinds of tasks: HypoSpace's three domains, and molecules.

python -m benchmarks.ips.many reasoning          # the domains, with policies that are tables
python -m benchmarks.ips.many molecules          # a list of molecules, with tables; needs rdkit and selfies
python -m benchmarks.ips.many written            # all of these with small transformers; needs the extra rl
python -m benchmarks.ips.many reasoning --quick  # fewer samples and seeds, to see that it runs; not for figures
python -m benchmarks.ips.many reasoning --write  # also writes the figures' file, the picture and the pages' tables

Parts that are done are kept in a folder and not run again: remove it to begin anew.
"""

import argparse
import importlib
from pathlib import Path

from benchmarks.ips.many import cells

KEPT = cells.HERE.parents[2] / "build/ips-many"


def main() -> None:
    """Parses, runs, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("reasoning", "molecules", "written"))
    parser.add_argument("--quick", action="store_true", help="fewer samples and seeds")
    parser.add_argument("--write", action="store_true", help="write the figures' file, the picture and the tables")
    parser.add_argument("--keep", type=Path, default=KEPT, help="folder of finished parts, which are not run again")
    asked = parser.parse_args()
    if asked.write and asked.quick:
        parser.error("--quick is not for figures; leave it or --write out")
    # Named here, as each needs modules that the others do without.
    task = importlib.import_module(f"benchmarks.ips.many.{asked.which}")
    shown = importlib.import_module(f"benchmarks.ips.many.{asked.which}_tables")
    found = task.run(asked.quick, asked.keep)
    if asked.write:
        cells.save(task.JSON, found)
        shown.put(found)
    for text in shown.tables(found).values():
        print(text, end="\n\n")


if __name__ == "__main__":
    main()
