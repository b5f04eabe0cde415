"""Finds the phrase that best tells the images that fire a feature from the others, and says it in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.lmm.local.eye import View
from autointerp.lmm.local.tables import Floats, Ints, Tables
from autointerp.lmm.local.visual import PROPERTIES, Mask
from autointerp.lmm.local.wording import sentence
from autointerp.replies import ExplainReply

LOOKALIKE_SHARE = 0.25
"""Weight of the few silent images that are shown against the background; they are chosen to look alike."""
OWN_SHARE = 0.5
"""Weight of a phrase's own effect; the rest is its neighbours' in meaning, so that a lone lucky phrase loses."""
N_RANKED = 64
"""Phrases whose area is computed."""
GENERAL_BONUS = 1.35
"""General concepts may be this much worse than a class name and are still preferred."""
MIN_OBJECT = 0.72
MIN_VISUAL = 0.70
"""Areas under the ROC curve, active against others, below which a phrase or property says nothing."""
STRONG_VISUAL = 0.85
"""From here a property is worth a clause beside an object."""
VISUAL_LEAD = 0.05
"""Area by which a strong property must beat the best phrase to be the explanation by itself."""
HIT = 0.8
"""Standard deviations above the background from which an image counts as showing a phrase."""
MIXED_COVER = 0.5
"""Share of the active images that the best phrase must hit before others are looked for."""
KIN = 0.45
"""Cosine from which two phrases are taken as speaking of one thing."""


@dataclass(frozen=True)
class Ranked:
    """Phrases or properties with how well they separate."""

    area: Floats
    """Area under the ROC curve, mean of the one against silent images and the one against the background."""
    effect: Floats
    """Difference of means in standard deviations."""
    active: Floats
    """[active, candidates]: standardised against the background."""


def explain(active: Sequence[View], silent: Sequence[View], weights: Tables) -> ExplainReply:
    """The reply to the explain task; `misfits` counts the active images from 1."""
    objects = _rank(
        np.stack([v.meaning for v in active]) @ weights.phrase_text.T,
        _matrix([v.meaning for v in silent], 384) @ weights.phrase_text.T,
        weights.background @ weights.phrase_text.T,
        weights.neighbours,
        weights.judge[1] / weights.judge[2],
    )
    looks = _rank(
        np.stack([v.visual for v in active]),
        _matrix([v.visual for v in silent], len(PROPERTIES)),
        weights.background_visual,
        None,
        0.0,
    )
    bonus = np.where(np.arange(len(weights.phrases)) < weights.n_general, GENERAL_BONUS, 1.0)
    order = np.argsort(-objects.effect * bonus, kind="stable")
    best = int(order[0])
    visual = _best_visual(looks)
    if objects.area[best] < MIN_OBJECT and visual is None:
        return _nothing(weights, order)
    if visual is not None and _looks_lead(objects.area[best], looks.area[visual]):
        return _visual_only(visual, looks, weights, order)
    return _object(best, order, objects, visual, looks, weights)


def _looks_lead(things: float, visual: float) -> bool:
    """Whether a property of the pixels says more than the best phrase."""
    return things < MIN_OBJECT or (visual >= STRONG_VISUAL and visual > things + VISUAL_LEAD)


def _matrix(rows: Sequence[Floats], width: int) -> Floats:
    return np.stack(rows) if rows else np.zeros((0, width), dtype=np.float32)


def _rank(active: Floats, silent: Floats, background: Floats, neighbours: Ints | None, per_likeness: float) -> Ranked:
    """`per_likeness`: how many standard deviations a likeness of 1 counts by itself, so that common things can win."""
    mean, spread = background.mean(axis=0), np.maximum(background.std(axis=0), 0.02)
    z, others = (active - mean) / spread, (silent - mean) / spread
    against = others.mean(axis=0) if len(silent) else np.zeros(active.shape[1], dtype=np.float32)
    belief = z + per_likeness * active
    middle = np.sort(belief, axis=0)[len(z) // 5 : max(len(z) - len(z) // 10, 1)].mean(axis=0)
    # The background's own mean is 0; look-alikes that share a phrase pull its effect down.
    effect = (middle - LOOKALIKE_SHARE * np.maximum(against, 0)) / np.sqrt((z.std(axis=0) ** 2 + 1) / 2)
    if neighbours is not None:
        effect = OWN_SHARE * effect + (1 - OWN_SHARE) * effect[neighbours].mean(axis=1)
    area = _areas(active, silent, background, np.argsort(-effect, kind="stable")[:N_RANKED])
    return Ranked(area, effect, z)


def _areas(active: Floats, silent: Floats, background: Floats, columns: Ints) -> Floats:
    """Areas under the ROC curve for some columns, 0 for the others."""
    area = np.zeros(active.shape[1], dtype=np.float32)
    area[columns] = _area(active[:, columns], background[:, columns])
    if len(silent):
        against = _area(active[:, columns], silent[:, columns])
        area[columns] = (1 - LOOKALIKE_SHARE) * area[columns] + LOOKALIKE_SHARE * against
    return area


def _area(active: Floats, others: Floats) -> Floats:
    """Chance that an active image has more of it than another one, ties counting half."""
    ranked = np.sort(others, axis=0)
    columns = range(active.shape[1])
    below = np.stack([np.searchsorted(ranked[:, i], active[:, i], "left") for i in columns], axis=1)
    upto = np.stack([np.searchsorted(ranked[:, i], active[:, i], "right") for i in columns], axis=1)
    return ((below + upto) / 2 / len(others)).mean(axis=0).astype(np.float32)


def _best_visual(looks: Ranked) -> int | None:
    best = int(np.argmax(np.where(looks.area >= MIN_VISUAL, looks.effect, -np.inf)))
    return best if looks.area[best] >= MIN_VISUAL and looks.effect[best] > 0 else None


def _nothing(weights: Tables, order: Ints) -> ExplainReply:
    return ExplainReply(
        candidates=[weights.phrases[i] for i in order[:3]],
        verdict="none",
        explanation="",
        concepts=[],
        lookalikes="",
        misfits=[],
    )


def _visual_only(visual: int, looks: Ranked, weights: Tables, order: Ints) -> ExplainReply:
    return ExplainReply(
        candidates=[PROPERTIES[visual].phrase, *(weights.phrases[i] for i in order[:3])],
        verdict="one",
        explanation=sentence(PROPERTIES[visual].phrase, None, ()),
        concepts=[PROPERTIES[visual].phrase],
        lookalikes="",
        misfits=_misfits(looks.active[:, visual]),
    )


def _object(
    best: int, order: Ints, objects: Ranked, visual: int | None, looks: Ranked, weights: Tables
) -> ExplainReply:
    phrases = weights.phrases
    kin = weights.phrase_text @ weights.phrase_text[best]
    examples = [
        int(i)
        for i in order[1:12]
        if i < weights.n_general
        and kin[i] >= KIN
        and objects.area[i] >= MIN_OBJECT
        and _differ(phrases[i], phrases[best])
    ]
    hits = objects.active[:, best] > HIT
    other = _second(hits, order, objects, kin) if hits.mean() < MIXED_COVER else None
    clause = visual if visual is not None and looks.area[visual] >= STRONG_VISUAL else None
    candidates = [phrases[i] for i in order[:4]]
    if visual is not None:
        candidates.append(PROPERTIES[visual].phrase)
    if other is not None:
        return ExplainReply(
            candidates=candidates,
            verdict="mixed",
            explanation=f"{sentence(phrases[best], None, ())} or {phrases[other]}",
            concepts=[phrases[best], phrases[other]],
            lookalikes="",
            misfits=_misfits(np.maximum(objects.active[:, best], objects.active[:, other])),
        )
    modifier = PROPERTIES[clause].modifier if clause is not None else None
    return ExplainReply(
        candidates=candidates,
        verdict="one",
        explanation=sentence(phrases[best], modifier, [phrases[i] for i in examples[:2]]),
        concepts=[phrases[best]],
        lookalikes="",
        misfits=_misfits(objects.active[:, best]),
    )


def _differ(one: str, other: str) -> bool:
    """Whether neither phrase has a word of the other."""
    return not {w.rstrip("s") for w in one.split()} & {w.rstrip("s") for w in other.split()}


def _second(hits: Mask, order: Ints, objects: Ranked, kin: Floats) -> int | None:
    """Another phrase that holds for most of the images that the best one misses."""
    for i in order[1:200]:
        if kin[i] < 0.3 and (objects.active[~hits, i] > HIT).mean() >= 0.6 and objects.area[i] >= MIN_OBJECT:
            return int(i)
    return None


def _misfits(z: Floats) -> list[int]:
    """Active images that have no more of it than the middle of the background."""
    return [int(i) + 1 for i in np.flatnonzero(z <= 0)]
