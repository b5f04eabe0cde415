"""Commands that train say which extra they need where it is not installed."""

import pytest
from typer.testing import CliRunner

from autointerp.cli.main import app
from autointerp.errors import SettingsError


@pytest.mark.parametrize(
    "command",
    [
        ("train", "activations", "images", "--out", "store"),
        ("train", "classifier", "images", "--out", "head"),
        ("train", "transcoder", "store", "--out", "coder"),
        ("train", "evaluate", "store", "--coder", "coder"),
        ("harvest", "images", "dump", "--coder", "coder"),
    ],
    ids=" ".join,
)
def test_without_the_extra_a_command_names_it(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.needs.find_spec", lambda name: None if name == "imagehash" else name)

    error = CliRunner().invoke(app, command).exception

    assert isinstance(error, SettingsError)
    assert str(error).endswith("ing needs imagehash; run pip install '.[train]' in your checkout of autointerp")
