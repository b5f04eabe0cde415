"""The explainer on tables small enough to check by hand: three phrases on the axes of sentence space."""

# ruff: noqa: E402  # the modules under test import the extra's packages
import numpy as np
import pytest

from autointerp.lmm.local.client import NEEDED

for module in NEEDED:
    pytest.importorskip(module, reason="the extra `local` is not installed")

from autointerp.lmm.local.explainer import explain
from autointerp.lmm.local.tables import Tables
from autointerp.lmm.local.vision_encoder import View, blend
from autointerp.lmm.local.visual import PROPERTIES

N_BACKGROUND = 40
PHRASES = ("hearts", "keys", "boats", "cars", "trees", "hats", "cups")


def seen(phrase: int) -> View:
    """A picture that is all of one phrase, with nothing to see of any property."""
    meaning = np.zeros(384, dtype=np.float32)
    meaning[phrase] = 1
    return View(meaning, np.zeros(len(PROPERTIES), dtype=np.float32))


def tables() -> Tables:
    axes = np.eye(384, dtype=np.float32)[: len(PHRASES)]
    background = np.stack([seen(i % len(PHRASES)).meaning for i in range(N_BACKGROUND)])
    nothing = np.zeros((1, 1), dtype=np.float32)
    return Tables(
        class_text=nothing,
        head=nothing,
        head_bias=nothing[0],
        text_mean=np.zeros(384, dtype=np.float32),
        phrases=PHRASES,
        n_general=len(PHRASES),
        kinds=(),
        phrase_text=axes,
        background=background,
        background_visual=np.zeros((N_BACKGROUND, len(PROPERTIES)), dtype=np.float32),
        judge=(-2.0, 4.0, 1.0),
    )


def test_the_phrase_that_all_active_images_show_is_the_explanation():
    reply = explain([seen(1)] * 8, [seen(0)] * 4, tables(), weak=[False] * 8)

    assert (reply.verdict, reply.concepts) == ("one", ["keys"])


def test_images_that_fire_weakly_do_not_outvote_those_that_fire_strongly():
    active = [seen(0)] * 4 + [seen(1)] * 5

    even = explain(active, [], tables(), weak=[False] * 9)
    told = explain(active, [], tables(), weak=[False] * 4 + [True] * 5)

    assert even.candidates[0] == "keys"
    assert told.candidates[0] == "hearts"


def test_looks_come_from_the_whole_image_and_meaning_from_both():
    crop, whole = seen(0), seen(1)
    crop.visual[:] = 1

    both = blend([crop, whole], [0.6, 0.8], [False, True])

    assert both.visual.max() == 0
    assert both.meaning[:2].tolist() == pytest.approx([0.6, 0.8])
