"""The embedded model's judge takes a disjunction for what it is."""

# ruff: noqa: E402  # the modules under test import the extra's packages
import numpy as np
import pytest

from autointerp.candidates import disjunction
from autointerp.lmm.local.client import NEEDED

for module in NEEDED:
    pytest.importorskip(module, reason="the extra `local` is not installed")

from autointerp.lmm.local.judge import beliefs
from autointerp.lmm.local.tables import Floats, tables
from autointerp.lmm.local.text import text_encoder
from autointerp.lmm.local.vision_encoder import View

DOGS, SHIPS = "Pictures of dogs", "Pictures of ships at sea"


def seen(text: str) -> View:
    """A view of exactly what the text says, without any looks."""
    weights = tables()
    visual = np.zeros(weights.background_visual.shape[1], np.float32)
    return View(meaning=weights.centred(text_encoder().encode(text)), visual=visual)


def said(text: str, views: list[View]) -> list[float]:
    return beliefs(text, views, tables(), text_encoder().encode)


def test_a_disjunction_is_believed_as_much_as_the_better_of_its_alternatives():
    views = [seen("a dog"), seen("a ship at sea"), seen("a violin")]

    both = said(disjunction([DOGS, SHIPS]), views)

    assert both == [max(pair) for pair in zip(said(DOGS, views), said(SHIPS, views), strict=True)]
    assert min(both[:2]) > both[2]


def test_a_text_of_one_explanation_is_embedded_as_it_stands():
    asked: list[str] = []

    def noting(text: str) -> Floats:
        asked.append(text)
        return text_encoder().encode(text)

    beliefs("Pictures of dogs or cats", [seen("a dog")], tables(), noting)

    assert asked == ["dogs or cats", "dogs"]  # the whole text without its frame, and its first phrase
