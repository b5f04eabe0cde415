"""The script of the recipe reads a trainer's state and tells how collapse went."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "watch_collapse.py"


def checkpoint(folder: Path, step: int, lines: list[dict[str, float]]) -> None:
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": lines}))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_newest_checkpoint_is_drawn_and_its_ends_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    first = {"step": 1, "ips/largest": 0.25, "ips/collapse": 0.2, "reward": 0.5}
    last = {"step": 9, "ips/largest": 0.75, "ips/collapse": 0.5, "reward": 1.0}
    checkpoint(tmp_path / "checkpoint-5", 5, [first])
    checkpoint(tmp_path / "checkpoint-10", 10, [first, {"step": 2, "eval_loss": 1.0}, last])

    run(monkeypatch, str(tmp_path), str(tmp_path / "out.png"))

    assert capsys.readouterr().out.splitlines() == [
        "step 1: largest share 0.25, effective number 5.0",
        "step 9: largest share 0.75, effective number 2.0",
    ]
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_a_state_or_without_outcomes_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(SystemExit, match=r"no trainer_state\.json"):
        run(monkeypatch, str(tmp_path))
    checkpoint(tmp_path / "checkpoint-1", 1, [{"step": 1, "loss": 0.5}])
    with pytest.raises(SystemExit, match="logs no ips/largest"):
        run(monkeypatch, str(tmp_path))
