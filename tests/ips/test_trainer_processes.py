"""Rewards and outcomes of several processes are put together in the same order: two processes over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

SCRIPT = Path(__file__).parent / "one_of_two_processes.py"


def both(meeting: Path) -> list[list[dict[str, object]]]:
    """What each process says, line by line."""
    # The address is asked for and not used: the file is where they meet.
    shared = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {"PYTHONPATH": str(SCRIPT.parents[2]), "GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, meeting],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    return [[json.loads(line) for line in said.splitlines() if line.startswith('{"')] for said, _ in ended]


@pytest.mark.long
def test_a_group_that_two_processes_share_is_weighted_as_one_and_a_fault_of_one_stops_both(tmp_path: Path):
    first, second = both(tmp_path / "meeting")

    assert first == second
    seen, fault = first
    assert seen["rewards"] == pytest.approx([4 / 3, 8 / 3, 4, 16])
    assert seen["weight"] == [2]
    assert str(fault["error"]).startswith("outcome_fn returned 1 outcomes for 2 completions")
