"""The explorer takes the coder that the dump was harvested with, and no other."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
from explorer.explorer_world import opened, write_dump, write_run
from transcoder.harvest_world import Everything, PlantedBackbone, planted, source

from autointerp.dump.format import CoderOrigin
from autointerp.errors import SettingsError
from autointerp.transcoder import one_image
from autointerp.transcoder.one_image import OneImageEncoder


@pytest.fixture(autouse=True)
def planted_coder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coder named by its number of latents."""

    def found(coder: str, *_: object, **__: object) -> OneImageEncoder:
        n = int(coder)
        return OneImageEncoder(PlantedBackbone(planted(2, n)), source(Everything(n, (n,))), "float32", "cpu")

    monkeypatch.setattr(one_image, "open_encoder", found)


def opening(folder: Path, **settings: object) -> bool:
    """Whether the explorer of a dump of eight latents has an encoder."""
    dump = folder / "dump"
    if not dump.exists():
        write_run(folder / "run", write_dump(dump))
    with opened(dump, cache=folder / "cache", **settings) as what:
        return what.encoder is not None


def test_the_coder_of_the_dump_is_taken(tmp_path: Path):
    assert opening(tmp_path, coder="8")
    assert not opening(tmp_path)


def test_a_coder_of_another_size_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="--coder 7: has 7 latents, and the dump is of one with 8"):
        opening(tmp_path, coder="7")


def test_another_coder_than_the_dump_names_is_refused(tmp_path: Path):
    origin = CoderOrigin(format="autointerp-coder/1", digest="digest of another", source="coders/other")
    write_dump(tmp_path / "dump", coder=origin)

    with pytest.raises(SettingsError, match="is not the coder that the dump was harvested with, coders/other"):
        opening(tmp_path, coder="8")


@pytest.mark.parametrize("name", ["backbone", "reads", "classifier"])
def test_what_goes_with_a_coder_is_refused_without_one(tmp_path: Path, name: str):
    with pytest.raises(SettingsError, match=f"--{name}: goes with --coder"):
        opening(tmp_path, **{name: "x"})
