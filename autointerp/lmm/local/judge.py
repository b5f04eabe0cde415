"""Whether an explanation, in anyone's words, holds for a crop: its likeness against that of pictures of all kinds."""

from collections.abc import Callable, Sequence

import numpy as np

from autointerp.candidates import alternatives
from autointerp.lmm.local.tables import Floats, Tables
from autointerp.lmm.local.vision_encoder import View
from autointerp.lmm.local.wording import parse
from autointerp.replies import Fit

YES = 0.65
UNSURE = 0.6
"""Beliefs from which the answer is yes, or at least not no: best F1 on held-out pictures where 3 % are true. Of others
there are so many that a wide band of doubt would drown the true ones."""
THING_SHARE = 0.75
"""Weight of the things against the looks in an explanation that names both; as exponents of the two beliefs."""


def judge(explanation: str, views: Sequence[View], weights: Tables, encode: Callable[[str], Floats]) -> list[Fit]:
    """One answer for each crop."""
    return [_answer(belief) for belief in beliefs(explanation, views, weights, encode)]


def beliefs(explanation: str, views: Sequence[View], weights: Tables, encode: Callable[[str], Floats]) -> list[float]:
    """How well the explanation holds for each crop, 0 to 1; of several explanations in one text the best counts."""
    each = [_beliefs(text, views, weights, encode) for text in alternatives(explanation)]
    return [max(said) for said in zip(*each, strict=True)]


def _beliefs(explanation: str, views: Sequence[View], weights: Tables, encode: Callable[[str], Floats]) -> list[float]:
    parsed = parse(explanation)
    looks = np.ones(len(views), dtype=np.float32)
    if parsed.properties:
        columns = list(parsed.properties)
        named = np.stack([v.visual for v in views])[:, columns]
        looks = _looks(named, weights.background_visual[:, columns]).mean(axis=1)
    if parsed.meaning is None:
        return looks.tolist() if parsed.properties else [0.5] * len(views)
    meant = target(parsed.meaning, parsed.head, weights, encode)
    usual = weights.background @ meant
    likeness = np.stack([v.meaning for v in views]) @ meant
    z = (likeness - usual.mean()) / max(float(usual.std()), 0.02)
    base, per_likeness, per_z = weights.judge
    things = 1 / (1 + np.exp(-(base + per_likeness * likeness + per_z * z)))
    if not parsed.properties:
        return things.tolist()
    return (things**THING_SHARE * looks ** (1 - THING_SHARE)).tolist()


def target(meaning: str, head: str, weights: Tables, encode: Callable[[str], Floats]) -> Floats:
    """Half the whole text, half its first phrase: the encoder loses what a long sentence is about."""
    both = weights.centred(encode(meaning)) + weights.centred(encode(head))
    return both / max(float(np.linalg.norm(both)), 1e-6)


def _looks(values: Floats, background: Floats) -> Floats:
    """Half the value, half the share of the background that has less, since most pictures have little of most looks."""
    below = (background[None] < values[:, None]).mean(axis=1)
    return ((values + np.where(values > 0, below, 0)) / 2).astype(np.float32)


def _answer(belief: float) -> Fit:
    if belief >= YES:
        return "yes"
    return "unsure" if belief >= UNSURE else "no"
