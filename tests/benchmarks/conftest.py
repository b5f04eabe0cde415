"""Makes the repository's own folder and its scripts importable: the benchmarks are no part of the package."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in (str(ROOT), str(ROOT / "benchmarks")):
    if folder not in sys.path:
        sys.path.append(folder)
