"""A planted dump for all end-to-end tests, a seeing endpoint for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.commands import Command, Done, Result, run
from standin.favourite import favourite
from standin.planted import MIXED, Population, plant
from standin.server import StandIn


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Twelve features over 300 images; not to be written to."""
    return plant(tmp_path_factory.mktemp("planted") / "dump")


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Five features with enough silent images to choose candidates by; not to be written to."""
    return plant(tmp_path_factory.mktemp("mixed") / "dump", features=MIXED, n_top=40, n_silent=80)


@pytest.fixture
def fond(seer: StandIn) -> StandIn:
    """Its explainer has a favourite: it names one property only."""
    seer.text_of = favourite
    return seer


@pytest.fixture
def seer() -> Iterator[StandIn]:
    """An endpoint that answers at once and never fails, until told otherwise."""
    with StandIn() as server:
        yield server


@pytest.fixture(scope="session")
def done(planted: Population, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Explained and scored with the defaults; not to be written to."""
    folder = tmp_path_factory.mktemp("done")
    where = ("--cache", folder / "cache", "--concurrency", "8")
    with StandIn() as server:
        model = ("--model", "seer", "--base-url", server.url)
        explained = run("explain", planted.folder, "--run", folder / "run", *model, *where)
        scored = run("score", folder / "run", *where)
        questions = tuple(c.question for c in server.calls if c.question is not None)
    return Done(explained, scored, folder / "run", folder / "cache", questions)


@pytest.fixture
def explain(planted: Population, seer: StandIn, tmp_path: Path) -> Command:
    """`autointerp explain` of the planted dump into `run` by the seer; further options at the end hold."""

    def command(*options: str | Path, dump: Path | None = None, to: str = "run") -> Result:
        usual = ("--run", tmp_path / to, "--model", "seer", "--base-url", seer.url, "--concurrency", "8")
        return run("explain", dump or planted.folder, *usual, *options)

    return command


@pytest.fixture
def score(tmp_path: Path) -> Command:
    """`autointerp score` of `run`, judged by its explainer."""

    def command(*options: str | Path, of: str = "run") -> Result:
        return run("score", tmp_path / of, "--concurrency", "8", *options)

    return command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, so that messages name short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
