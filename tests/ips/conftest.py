"""Makes the tiny policies of `benchmarks/ips` importable, which the tests of the trainer share."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
