"""However a file is damaged, reading it ends in a value or in one line, and never ends the process."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "fuzz_readers.py"
READERS = (
    "dump.json",
    "images.parquet",
    "features.parquet",
    "exemplars.parquet",
    "activations.csv",
    "labels.csv",
    "images",
)
N = 50
"""Damaged files of each kind."""


def test_damage_is_one_line_or_reads(tmp_path: Path):
    command = [sys.executable, SCRIPT, tmp_path / "work", "0", str(N), *READERS]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [f"{reader} {seed}" for reader in READERS for seed in range(N)], done.stderr
    assert done.returncode == 0
