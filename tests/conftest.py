"""Keeps every test away from the user's own settings, keys and cache, and from the clock."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples whenever it runs, however long each takes, and nothing that an earlier run left decides.
settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# The benchmarks are no part of the package, and planted networks of theirs serve in several tests.
if (ROOT := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(ROOT)

NOW_AND_THEN = ("progress.PLAIN_EVERY", "progress.EVENT_EVERY", "counts.EVERY")
"""Seconds between lines that say how far a command is."""

# Before anything imports torch or numpy, whose idle threads spin. The tests fill the cores by running side by side; a
# second thread in each of them takes what another one needs, and many times that on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than the cores: a test that waits for a server, a disk or a killed process leaves its own idle."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Whoever looks for garbage passes over what is loaded by now: most of a worker's memory, and it stays."""
    gc.freeze()


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


@pytest.fixture(autouse=True)
def no_line_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a busy machine makes slow says no more than a quick one."""
    for name in NOW_AND_THEN:
        monkeypatch.setattr(f"autointerp.cli.{name}", threading.TIMEOUT_MAX)
