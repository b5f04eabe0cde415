"""Commands that train say which extra they need where it is not installed; their help needs none."""

import pytest
from standin.commands import run, says

TRAIN = [
    ("train", "activations", "images", "--out", "store"),
    ("train", "classifier", "images", "--out", "head"),
    ("train", "transcoder", "store", "--out", "coder"),
    ("train", "evaluate", "store", "--coder", "coder"),
    ("harvest", "images", "dump", "--coder", "coder"),
]


@pytest.mark.parametrize("command", TRAIN, ids=" ".join)
def test_without_the_extra_a_command_names_it(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: None if name == "imagehash" else name)

    what = "harvesting" if command[0] == "harvest" else "training"
    says(run(*command), f"{what} needs imagehash; run pip install '.[train]' in your checkout of autointerp")


def test_without_the_extra_tune_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: None if name in ("trl", "datasets") else name)

    result = run("tune", "dump", "--out", "tuned", "--model", "m", "--judge-model", "j")

    says(result, "tuning needs datasets, trl; run pip install '.[rl]' in your checkout of autointerp")


@pytest.mark.parametrize("command", [*TRAIN, ("tune",)], ids=" ".join)
def test_the_help_is_there_without_the_extra(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.extras.find_spec", lambda name: None)

    assert run(*command, "--help").code == 0
