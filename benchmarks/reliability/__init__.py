"""What faults of an endpoint, kills and signals cost a run whose truth is known."""

import sys
from pathlib import Path

# The endpoints that see, and the dump whose truth is known, are those of the tests.
sys.path.append(str(Path(__file__).parents[2] / "tests"))
