"""What a command has loaded by the time that it asks its first question."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from standin.commands import Done
from standin.planted import Population

UNUSED = ("openai", "httpx2", "genai_prices", "pandas", "torch", "ray", "rich.progress", "autointerp.batch.client")
WITHOUT_SCORERS = ("autointerp.scoring", "autointerp.commands.score")

LOADED = """
import json, os, sys
from autointerp.cli.main import main
from autointerp.lmm.http import Wire

async def post(*args, **options):
    json.dump(sorted(sys.modules), sys.__stdout__)
    sys.__stdout__.flush()
    os._exit(0)

Wire.post = post
main()
"""


def loaded(*command: str | Path) -> set[str]:
    """The modules in memory when a fresh Python sends the first question of a command."""
    line = [sys.executable, "-c", LOADED, *map(str, command)]
    return set(json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """A server of this machine; nothing is sent to it."""
    monkeypatch.setenv("AUTOINTERP_BASE_URL", "http://127.0.0.1:9/v1")
    return "http://127.0.0.1:9/v1"


def test_explaining_loads_no_scorer_and_no_package_that_it_does_not_use(
    planted: Population, tmp_path: Path, nobody: str
):
    there = loaded("explain", planted.folder, "--run", tmp_path / "run", "--model", "seer")

    assert {"autointerp.jobs.explain", "aiohttp", "pyarrow"} <= there
    assert there.intersection(UNUSED + WITHOUT_SCORERS) == set()


def test_scoring_loads_no_package_that_it_does_not_use(done: Done, tmp_path: Path, nobody: str):
    there = loaded("score", done.run, "--scorers", "intruder", "--cache", tmp_path / "cache")

    assert "autointerp.scoring.scorers.intruder" in there
    assert there.intersection(UNUSED) == set()
