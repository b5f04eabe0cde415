"""Tokens made on the way: every patch once an epoch, the same sequence from anywhere, held-out groups never."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from coloured import Colours, colours
from PIL import Image

from autointerp.errors import SettingsError
from autointerp.populations.images import Population, read_population
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.stream import ImageSource


@pytest.fixture
def population(tmp_path: Path) -> Population:
    """Twelve images, each of one colour that no other has, and each a group of its own."""
    folder = tmp_path / "images"
    folder.mkdir()
    rows = ["path,label,group"]
    for i in range(12):
        Image.new("RGB", (4, 4), (20 * i, 255 - 20 * i, 10 * i)).save(folder / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,,g{i // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return read_population(folder, labels=tmp_path / "labels.csv")


def source(
    population: Population, backbone: ModuleBackbone, *, held_out: float = 0.0, reads: str = "pixels"
) -> ImageSource:
    return ImageSource(backbone, population, hookpoints=(reads, reads), seed=5, held_out=held_out, window=4, batch=3)


def shades(tokens: torch.Tensor) -> list[float]:
    """Each token's red, by which its image is known."""
    return [round(float(t), 4) for t in tokens[:, 0]]


def test_an_epoch_holds_every_patch_of_every_image_once(population: Population):
    batches = list(islice(source(population, colours()).batches(32, 0), 6))

    seen = shades(torch.cat([b.inputs for b in batches]))

    # 12 images of 16 patches are six batches of 32.
    assert len(set(seen)) == 12
    assert all(seen.count(shade) == 16 for shade in set(seen))


def test_another_epoch_has_another_order(population: Population):
    batches = list(islice(source(population, colours()).batches(32, 0), 12))

    first, second = (torch.cat([b.inputs for b in half]) for half in (batches[:6], batches[6:]))

    assert sorted(shades(first)) == sorted(shades(second))
    assert shades(first) != shades(second)


@pytest.mark.parametrize("start", [1, 3, 4, 5, 9])
def test_training_that_was_stopped_goes_on_in_the_same_sequence(population: Population, start: int):
    whole = list(islice(source(population, colours()).batches(40, 0), 14))

    rest = list(islice(source(population, colours()).batches(40, start), 14 - start))

    for one, other in zip(whole[start:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs)


def test_images_of_the_windows_before_are_not_run_again(population: Population):
    backbone = colours()
    model = backbone.module
    assert isinstance(model, Colours)
    model.calls = 0

    next(source(population, backbone).batches(32, 4))

    # Batch 4 begins at token 128, in the third window of four images.
    assert model.calls == 4


def test_held_out_groups_are_never_trained_on(population: Population):
    made = source(population, colours(), held_out=0.34)

    trained = set(shades(torch.cat([b.inputs for b in islice(made.batches(16, 0), 16)])))
    held = set(shades(torch.cat([b.inputs for b in made.held_out(10, 1000)])))

    # Two of six groups of two images.
    assert len(held) == 4
    assert len(trained) == 8
    assert not trained & held


def test_of_a_pooled_vector_an_image_is_one_token(population: Population):
    made = source(population, colours(), reads="pooled")

    assert made.n_training == 12
    assert next(made.batches(5, 0)).inputs.shape == (5, 3)


def test_too_few_tokens_for_a_batch_say_what_to_do(population: Population):
    with pytest.raises(SettingsError, match="192 tokens of 12 images to learn from, fewer than a batch of 1024"):
        next(source(population, colours()).batches(1024, 0))


def test_hookpoints_of_two_kinds_are_refused(population: Population):
    with pytest.raises(SettingsError, match="--writes 'pooled': is of the image, and 'pixels' is of 4 x 4 patches"):
        ImageSource(colours(), population, hookpoints=("pixels", "pooled"), seed=0, held_out=0.0)
