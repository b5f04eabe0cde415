"""A pack of the red square, made once."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autointerp.jobs.benchmark_run import Ran

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent.parent / "transcoder"))
sys.path.insert(0, str(Path(__file__).parent))

from generators_world import Embedder, backbone, dump, generator, named, run_over


def _patched(patch: pytest.MonkeyPatch) -> None:
    from autointerp.generators import encoding
    from autointerp.jobs import benchmark_make

    @asynccontextmanager
    async def embedder(*_: object, **__: object):
        yield Embedder()

    patch.setattr(encoding, "load_backbone", backbone)
    patch.setattr(benchmark_make, "load_backbone", backbone)
    patch.setattr(benchmark_make, "open_embedder", embedder)
    patch.setattr(benchmark_make, "resolve_model", lambda model: model)


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names of networks mean the one that sees colours."""
    _patched(monkeypatch)
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, coder, dump, run and pack."""
    folder = tmp_path_factory.mktemp("generators")
    run_over(dump(folder), folder / "run")
    from autointerp.commands.benchmark_make import benchmark_make

    with pytest.MonkeyPatch.context() as patch:
        _patched(patch)
        patch.setenv("AUTOINTERP_CACHE", str(folder / "cache"))
        benchmark_make(folder / "run", folder / "pack")
    return folder


@pytest.fixture(scope="session")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders: of 120 pictures 5 %, of 120 pictures 30 %, and of 40 sound ones none has a red square."""
    folder = tmp_path_factory.mktemp("images")
    generator(folder / "a", 120, 0.05, seed=1)
    generator(folder / "b", 120, 0.30, seed=2)
    generator(folder / "sound", 40, 0.0, seed=3)
    return folder


@pytest.fixture(scope="session")
def ran(world: Path, generators: Path, tmp_path_factory: pytest.TempPathFactory) -> "Ran":
    """The result of the first two."""
    from autointerp.commands.benchmark_run import benchmark_run

    with pytest.MonkeyPatch.context() as patch:
        _patched(patch)
        out = tmp_path_factory.mktemp("results") / "result"
        return benchmark_run(world / "pack", out, images=named(generators, "a", "b"), cache=out.parent / "cache")
