"""What the budget is told beforehand, and the example of the documents."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from standin.commands import Command
from standin.planted import Population
from standin.server import StandIn

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "example.py"


def test_a_budget_says_before_the_first_call_how_far_it_goes(explain: Command):
    forecast = r"estimated: ([\d,]+) tokens for 12 features; the budget of (\w+) tokens "

    ample = explain("--budget", "90M tokens")
    tight = explain("--budget", "60k tokens", to="tight")

    told = re.search(forecast + "covers them", ample.err)
    assert told is not None
    each = int(told[1].replace(",", "")) / 12
    assert f"covers about {int(60_000 / each)} of them" in tight.err


def test_the_example_of_the_documents_runs_as_it_stands(
    planted: Population,
    seer: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(sys, "argv", ["example.py", str(planted.folder), str(tmp_path / "run"), "seer", seer.url])

    runpy.run_path(str(EXAMPLE), run_name="__main__")

    out = capsys.readouterr().out
    assert len(re.findall(r"^\d+: .* F1 1\.00 \[", out, re.MULTILINE)) == 8
    assert f"0 failed; report: {tmp_path / 'run' / 'report.html'}" in out
