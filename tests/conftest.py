"""Keeps every test away from the user's own settings, keys and cache."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the shell reaches a test, and no answer is cached outside its folder."""
    for name in list(os.environ):
        if name.startswith(("AUTOINTERP_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))
