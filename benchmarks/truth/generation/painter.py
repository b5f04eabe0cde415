"""Renders scenes from the words of an explanation, as a text-to-image model would, in four ways."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from autointerp.synthetic.concepts import Concept, holds_all
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes
from benchmarks.truth.generation.network import SIDE

WAYS = ("exact", "noisy", "styled", "refusing")
"""As its models are named: what is said; at times something else; in colours that a style changes; not always."""
ASTRAY, REFUSED = 0.25, 0.15
"""Share of the pictures that show something else, and of the prompts that are refused."""
N_SCENES = 60_000


def _faded(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.6)


def _warm(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.float32) * np.array([1.08, 0.97, 0.78])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _grey(image: Image.Image) -> Image.Image:
    return ImageOps.grayscale(image).convert("RGB")


STYLES: Mapping[str, Callable[[Image.Image], Image.Image]] = {"snapshot": _warm, "plain": _faded, "drawing": _grey}
"""What a style does to the pixels, by a word of its prompts; a drawing has no colour, and other pictures stay."""


def chance(*what: object) -> Random:
    """Draws that depend on all this."""
    return Random(sha256(repr(what).encode()).hexdigest())


class Painter:
    """Knows some texts; the scenes that it paints are drawn among those of which a text holds.

    Args:
        concepts: by their texts; the longest that a prompt holds is what it is about.
        seed: of the scenes.
    """

    def __init__(self, concepts: Mapping[str, Concept], seed: int) -> None:
        self._concepts = dict(sorted(concepts.items(), key=lambda pair: -len(pair[0])))
        self._scenes = draw_scenes(N_SCENES, seed)
        self._fitting: dict[str, npt.NDArray[np.intp]] = {}

    def read(self, prompt: str) -> tuple[str, str]:
        """Returns the text that a prompt is about, empty where it is about none, and the words around it."""
        text = next((known for known in self._concepts if known in prompt), "")
        return text, prompt.replace(text, "…") if text else prompt

    def refuses(self, way: str, prompt: str) -> bool:
        """Says whether a prompt is refused."""
        return way == "refusing" and chance("refused", prompt).random() < REFUSED

    def paint(self, way: str, prompt: str, number: int) -> Image.Image:
        """Paints the picture of that number of a prompt."""
        text, around = self.read(prompt)
        luck = chance("picture", prompt, number)
        astray = luck.random() < ASTRAY
        fitting = self._of("" if way == "noisy" and astray else text)
        image = draw(self._scenes.scene(int(fitting[luck.randrange(len(fitting))])), SIDE)
        restyled = next((change for word, change in STYLES.items() if word in around), None)
        return restyled(image) if way == "styled" and restyled is not None else image

    def _of(self, text: str) -> npt.NDArray[np.intp]:
        """The scenes of which a text holds; all for none."""
        if text not in self._fitting:
            fits = holds_all(self._concepts[text], self._scenes) if text else np.ones(len(self._scenes), bool)
            self._fitting[text] = np.flatnonzero(fits)
        return self._fitting[text]
