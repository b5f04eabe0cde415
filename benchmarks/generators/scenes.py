"""Planted scenes in several styles: which error each shows is known, and has nothing to do with the style."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.paper.cutouts import Cutout
from benchmarks.paper.scenes import PAIRS, draw

SOUND = ""
"""The kind of a scene in which nothing is wrong."""
QUALITY = 90


class Picture(NamedTuple):
    """One picture on disk, and what is known of it."""

    name: str
    kind: str
    """An error of `benchmarks/paper/scenes.py`, or `SOUND`."""
    thing: str
    """What the scene is about; it stands for the prompt."""
    style: str


def _plain(image: Image.Image, chance: Random) -> Image.Image:
    return image


def _warm(image: Image.Image, chance: Random) -> Image.Image:
    """A soft picture in evening light."""
    soft = image.filter(ImageFilter.GaussianBlur(0.9))
    pixels = np.asarray(soft, np.float32) * np.array([1.06, 0.95, 0.80], np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _grainy(image: Image.Image, chance: Random) -> Image.Image:
    """A dark picture of high contrast and much grain."""
    noise = np.random.default_rng(chance.randrange(2**32)).normal(0, 15, (*image.size, 1))
    pixels = np.asarray(ImageEnhance.Contrast(image).enhance(1.3), np.float32) * 0.8 + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _faded(image: Image.Image, chance: Random) -> Image.Image:
    """A pale picture almost without colour."""
    grey = ImageEnhance.Color(image).enhance(0.25)
    return ImageEnhance.Brightness(ImageEnhance.Contrast(grey).enhance(0.7)).enhance(1.15)


STYLES: dict[str, Callable[[Image.Image, Random], Image.Image]] = {
    "plain": _plain,
    "warm": _warm,
    "grainy": _grainy,
    "faded": _faded,
}
"""How generators draw. The features are found on the first two alone, so that the others are new to them."""
SEEN = ("plain", "warm")


def drawn(things: Sequence[Cutout], first: Cutout, kind: str, style: str, seed: int) -> Image.Image:
    """Draws a scene about `first`, perhaps with a second thing, in a style.

    Args:
        things: among which the second thing is drawn.
        first: what the scene is about, and what is wrong with it if anything is.
        kind: an error of `benchmarks/paper/scenes.py`, or `SOUND`.
        style: one of `STYLES`.
        seed: of everything drawn; of one seed the styles show the same scene.
    """
    chance = Random(f"styled:{seed}")
    others = [t for t in things if t.name != first.name]
    several = kind in PAIRS or chance.random() < 2 / 3
    scene = draw([first, chance.choice(others)] if several else [first], kind, chance.randrange(2**31))
    return STYLES[style](scene.image, chance)


def discovery(folder: Path, things: Sequence[Cutout], wrong: Sequence[str], n: int, seed: int) -> Iterator[Picture]:
    """Writes `n` scenes of the seen styles, of which 42 % have an error, each kind as often."""
    chance = Random(f"discovery:{seed}")
    n_wrong = round(0.42 * n)
    kinds = [wrong[i % len(wrong)] if i < n_wrong else SOUND for i in range(n)]
    chance.shuffle(kinds)
    for i, kind in enumerate(kinds):
        first, style = chance.choice(things), chance.choice(SEEN)
        name = f"{i:05d}.jpg"
        drawn(things, first, kind, style, chance.randrange(2**31)).save(folder / name, quality=QUALITY)
        yield Picture(name, kind, first.name, style)


def stock(
    folder: Path, things: Sequence[Cutout], wrong: Sequence[str], styles: Sequence[str], each: int, seed: int
) -> Iterator[Picture]:
    """Writes, for each thing, kind and style, so many scenes; sound ones twice as many. The generators draw from them.

    The seed of a scene follows from its thing and kind, so that all styles show the same scenes.
    """
    for first in things:
        for kind in (SOUND, *wrong):
            for copy in range(2 * each if kind == SOUND else each):
                scene = Random(f"stock:{seed}:{first.name}:{kind}:{copy}").randrange(2**31)
                for style in styles:
                    name = f"{first.name.replace('/', '_')}-{kind.replace(' ', '-') or 'sound'}-{copy}-{style}.jpg"
                    drawn(things, first, kind, style, scene).save(folder / name, quality=QUALITY)
                    yield Picture(name, kind, first.name, style)
