"""The scripts for SLURM, run by a shell as SLURM runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from standin.planted import Population, plant
from standin.records import explanations
from standin.server import StandIn

SLURM = Path(__file__).parent.parent.parent / "deploy" / "slurm"


@pytest.fixture
def planted(tmp_path: Path) -> Population:
    return plant(tmp_path / "dump")


def run_script(name: str, *args: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", SLURM / name, *args], env=os.environ | {"PATH": path} | environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_tasks_of_an_array_and_the_merge_after_them_make_the_whole_run(planted: Population, tmp_path: Path):
    logs = {"LOGS": str(tmp_path / "logs")}
    with StandIn() as seer:
        wanted = ("explain", planted.folder, "--run", tmp_path / "run", "--model", "seer", "--base-url", seer.url)
        task = {"SLURM_ARRAY_TASK_COUNT": "2"} | logs
        first = run_script("shards.sbatch", *wanted, SLURM_ARRAY_TASK_ID="0", **task)
        # The other one alone, as after a failure: SLURM then counts one task.
        task |= {"SLURM_ARRAY_TASK_COUNT": "1", "SHARDS": "2"}
        second = run_script("shards.sbatch", *wanted, SLURM_ARRAY_TASK_ID="1", **task)
    merged = run_script("merge.sbatch", tmp_path / "run", **logs)

    assert [first.returncode, second.returncode, merged.returncode] == [0, 0, 0], first.stderr + second.stderr
    assert sorted(explanations(tmp_path / "run")) == list(range(12))
    assert sorted(p.name for p in (tmp_path / "logs").iterdir()) == ["explain-0.log", "explain-1.log", "merge.log"]
    assert f"asking seer at {seer.url}" in (tmp_path / "logs" / "explain-1.log").read_text()


def test_a_task_hands_on_the_exit_code_of_its_command(tmp_path: Path):
    done = run_script(
        "shards.sbatch",
        *("explain", tmp_path / "nowhere", "--run", tmp_path / "run", "--model", "local"),
        **{"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2", "LOGS": str(tmp_path)},
    )

    assert done.returncode == 2
    assert "nowhere: not a dump" in (tmp_path / "explain-0.log").read_text()
