from pathlib import Path

import pytest
import torch
from coloured import Colours, colours

from autointerp.errors import SettingsError
from autointerp.populations.images import read_population
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes
from autointerp.transcoder.features import image_vectors


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    for i, scene in enumerate(draw_scenes(6, seed=0)):
        draw(scene, 32).save(root / f"{i}.png")
    return root


def test_vectors_are_computed_once_and_only_what_is_missing_later(pictures: Path, tmp_path: Path):
    images = read_population(pictures).images
    told: list[tuple[int, int]] = []
    backbone = colours()
    counted = backbone.module
    assert isinstance(counted, Colours)
    counted.calls = 0

    first = image_vectors(backbone, "pooled", images[:4], tmp_path / "f", lambda *a: None)
    again = image_vectors(backbone, "pooled", images, tmp_path / "f", lambda done, total: told.append((done, total)))

    assert counted.calls == 6
    assert torch.equal(again[:4], first)
    assert told[0] == (4, 6)
    assert told[-1] == (6, 6)


def test_vectors_are_means_over_patches_in_the_order_asked_for(pictures: Path, tmp_path: Path):
    images = read_population(pictures).images

    pooled = image_vectors(colours(), "pooled", images, tmp_path / "f", lambda *a: None)
    turned = image_vectors(colours(), "pooled", images[::-1], tmp_path / "f", lambda *a: None)
    pixels = image_vectors(colours(), "pixels", images, tmp_path / "f", lambda *a: None)

    assert torch.equal(turned.flip(0), pooled)
    torch.testing.assert_close(pixels, pooled)


def test_vectors_survive_a_kill_between_two_files(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("autointerp.transcoder.features.SHARD", 2)
    images = read_population(pictures).images
    whole = image_vectors(colours(), "pooled", images, tmp_path / "whole", lambda *a: None)

    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image_vectors(colours(), "pooled", images, tmp_path / "f", stop)
    told: list[int] = []
    found = image_vectors(colours(), "pooled", images, tmp_path / "f", lambda done, total: told.append(done))

    assert told[0] == 4
    assert torch.equal(found, whole)


def test_another_backbone_has_vectors_of_its_own(pictures: Path, tmp_path: Path):
    images = read_population(pictures).images

    image_vectors(colours(4), "pooled", images, tmp_path / "f", lambda *a: None)
    image_vectors(colours(8), "pooled", images, tmp_path / "f", lambda *a: None)

    assert len(list((tmp_path / "f").iterdir())) == 2


def test_a_broken_file_of_vectors_is_one_line(pictures: Path, tmp_path: Path):
    images = read_population(pictures).images
    image_vectors(colours(), "pooled", images, tmp_path / "f", lambda *a: None)
    (path,) = (tmp_path / "f").glob("*/*.safetensors")
    path.write_bytes(b"x")

    with pytest.raises(SettingsError, match="not vectors as this program keeps them"):
        image_vectors(colours(), "pooled", images, tmp_path / "f", lambda *a: None)


def test_an_image_that_changed_since_it_was_listed_is_one_line(pictures: Path, tmp_path: Path):
    images = read_population(pictures).images
    (pictures / "3.png").write_bytes(b"x")

    with pytest.raises(SettingsError, match=r"3.png: not an image .*; it could be read before"):
        image_vectors(colours(), "pooled", images, tmp_path / "f", lambda *a: None)
