"""The example of docs/ips.md runs, and is what the page shows."""

# ruff: noqa: E402  # what comes after the skip needs the extra

import re
import runpy
import sys
from pathlib import Path

import pytest

from autointerp.extras import RL

for module in RL:
    pytest.importorskip(module, reason="the extra `rl` is not installed")

from benchmarks.ips.tiny import text_policy, tokenizer

DOCS = Path(__file__).parents[2] / "docs"


# TRL 1.16 reads and sets the older of two names that transformers 5.23 has for one option.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
def test_the_example_trains_and_prints_how_diverse_the_answers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = tokenizer(["2", "3", "4", "Name", "a", "prime", "number", "below", "twenty."])
    text_policy(words, 0).save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    monkeypatch.setattr(sys, "argv", ["ips_example.py", str(tmp_path / "model"), str(tmp_path / "out"), "2"])

    runpy.run_path(str(DOCS / "ips_example.py"), run_name="__main__")

    said = re.findall(r"reward ([\d.]+), different primes ([\d.]+)", capsys.readouterr().out)
    assert len(said) == 2
    assert all(0 <= float(reward) <= 1 and 0 <= float(primes) <= 2 for reward, primes in said)


def test_the_page_shows_the_script_that_is_tested():
    shown = re.findall(r"```python\n(.*?)```", (DOCS / "ips.md").read_text(), re.DOTALL)

    assert (DOCS / "ips_example.py").read_text() in shown
