"""Keeps every test away from the user's own settings, keys and cache."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is made once for many tests remembers no address in the user's own folder either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the shell reaches a test, no answer is cached outside its folder, and no address is remembered."""
    for name in list(os.environ):
        if name.startswith(("AUTOINTERP_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{tmp_path}-config")
