"""Finds the phrase that best tells the images that fire a feature from the others, and says it in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.lmm.local.tables import Floats, Ints, Tables
from autointerp.lmm.local.vision_encoder import View
from autointerp.lmm.local.visual import PROPERTIES, Mask
from autointerp.lmm.local.wording import sentence, sentence_of_looks, sentence_of_two
from autointerp.replies import ExplainReply

LOOKALIKE_SHARE = 0.25
"""Weight of the few silent images that are shown against the background; they are chosen to look alike."""
OWN_SHARE = 0.5
"""Weight of a phrase's own effect; the rest is its neighbours' in meaning, so that a lone lucky phrase loses."""
WEAKER_SHARE = 0.35
"""Weight of an image that is said to fire weakly: what barely fires a feature is often something else."""
LOWEST, HIGHEST = 0.2, 0.1
"""Parts of the active images that a phrase need not hold for, or may hold for by luck."""
N_RANKED = 64
"""Phrases whose area is computed."""
GENERAL_BONUS = 1.35
"""General concepts may be this much worse than a class name and are still preferred."""
MIN_OBJECT = 0.72
MIN_VISUAL = 0.70
"""Areas under the ROC curve, active against others, below which a phrase or property says nothing."""
STRONG_VISUAL = 0.85
"""From here a property is worth a clause beside an object."""
VISUAL_LEAD = 0.1
"""Area by which a strong property must beat the best phrase to be the explanation by itself."""
HIT = 0.8
"""Standard deviations above the background from which an image counts as showing a phrase."""
MIXED_COVER = 0.5
"""Share of the active images that the best phrase must hit before others are looked for."""
EXAMPLE_COVER = 0.5
"""Share of the active images that an example must hit."""
KIN = 0.45
"""Cosine from which two phrases are taken as speaking of one thing."""
N_VOTES, MIN_VOTES = 8, 3
"""Where so many of the best phrases are of one kind, the kind is the explanation and they its examples."""
KIND_LOSS = 0.08
"""Area that the kind may lose against the best phrase."""


@dataclass(frozen=True)
class Ranked:
    """Phrases or properties with how well they separate."""

    area: Floats
    """Area under the ROC curve, mean of the one against silent images and the one against the background."""
    effect: Floats
    """Difference of means in standard deviations."""
    active: Floats
    """[active, candidates]: standardised against the background."""


def explain(active: Sequence[View], silent: Sequence[View], weights: Tables, weak: Sequence[bool]) -> ExplainReply:
    """The reply to the explain task.

    Args:
        active: views of the images that fire the feature.
        silent: views of look-alikes that do not.
        weights: the trained tables.
        weak: which of the active ones are said to fire weakly; they count less.

    Returns:
        The reply; its `misfits` count the active images from 1.
    """
    share = np.where(weak, WEAKER_SHARE, 1.0).astype(np.float32)
    share /= share.sum()
    objects = _rank(
        np.stack([v.meaning for v in active]) @ weights.phrase_text.T,
        _matrix([v.meaning for v in silent], 384) @ weights.phrase_text.T,
        weights.background @ weights.phrase_text.T,
        share,
        weights.neighbours,
        weights.judge[1] / weights.judge[2],
    )
    looks = _rank(
        np.stack([v.visual for v in active]),
        _matrix([v.visual for v in silent], len(PROPERTIES)),
        weights.background_visual,
        share,
        None,
        0.0,
    )
    bonus = np.where(np.arange(len(weights.phrases)) < weights.n_general, GENERAL_BONUS, 1.0)
    order = np.argsort(-objects.effect * bonus, kind="stable")
    best = _kind_of(order, objects.area, weights)
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


def _rank(
    active: Floats, silent: Floats, background: Floats, share: Floats, neighbours: Ints | None, per_likeness: float
) -> Ranked:
    """`share`: how much each active image counts, 1 in all.

    `per_likeness`: how many standard deviations a likeness of 1 counts by itself, so that common things can win.
    """
    mean, spread = background.mean(axis=0), np.maximum(background.std(axis=0), 0.02)
    z, others = (active - mean) / spread, (silent - mean) / spread
    against = others.mean(axis=0) if len(silent) else np.zeros(active.shape[1], dtype=np.float32)
    middle = _middle(z + per_likeness * active, share)
    noise = share @ (z - share @ z) ** 2
    # The background's own mean is 0; look-alikes that share a phrase pull its effect down.
    effect = (middle - LOOKALIKE_SHARE * np.maximum(against, 0)) / np.sqrt((noise + 1) / 2)
    if neighbours is not None:
        effect = OWN_SHARE * effect + (1 - OWN_SHARE) * effect[neighbours].mean(axis=1)
    area = _areas(active, silent, background, share, np.argsort(-effect, kind="stable")[:N_RANKED])
    return Ranked(area, effect, z)


def _middle(belief: Floats, share: Floats) -> Floats:
    """Weighted mean of each column without its lowest fifth and its highest tenth."""
    order = np.argsort(belief, axis=0, kind="stable")
    each = share[order]
    place = np.cumsum(each, axis=0) - each / 2
    kept = np.where((place >= LOWEST) & (place <= 1 - HIGHEST), each, 0)
    return (np.take_along_axis(belief, order, axis=0) * kept).sum(axis=0) / np.maximum(kept.sum(axis=0), 1e-6)


def _areas(active: Floats, silent: Floats, background: Floats, share: Floats, columns: Ints) -> Floats:
    """Areas under the ROC curve for some columns, 0 for the others."""
    area = np.zeros(active.shape[1], dtype=np.float32)
    area[columns] = _area(active[:, columns], background[:, columns], share)
    if len(silent):
        against = _area(active[:, columns], silent[:, columns], share)
        area[columns] = (1 - LOOKALIKE_SHARE) * area[columns] + LOOKALIKE_SHARE * against
    return area


def _area(active: Floats, others: Floats, share: Floats) -> Floats:
    """Chance that an active image has more of it than another one, ties counting half."""
    ranked = np.sort(others, axis=0)
    columns = range(active.shape[1])
    below = np.stack([np.searchsorted(ranked[:, i], active[:, i], "left") for i in columns], axis=1)
    upto = np.stack([np.searchsorted(ranked[:, i], active[:, i], "right") for i in columns], axis=1)
    return (share @ ((below + upto) / 2 / len(others))).astype(np.float32)


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
        explanation=sentence_of_looks(PROPERTIES[visual].phrase),
        concepts=[PROPERTIES[visual].phrase],
        lookalikes="",
        misfits=_misfits(looks.active[:, visual]),
    )


def _object(
    best: int, order: Ints, objects: Ranked, visual: int | None, looks: Ranked, weights: Tables
) -> ExplainReply:
    phrases = weights.phrases
    kin = weights.phrase_text @ weights.phrase_text[best]
    examples = _examples(best, order, objects, kin, weights)
    hits = objects.active[:, best] > HIT
    other = _second(hits, order, objects, kin) if hits.mean() < MIXED_COVER else None
    clause = visual if visual is not None and looks.area[visual] >= STRONG_VISUAL else None
    candidates = list(dict.fromkeys(phrases[i] for i in (best, *order[:4])))
    if visual is not None:
        candidates.append(PROPERTIES[visual].phrase)
    if other is not None:
        return ExplainReply(
            candidates=candidates,
            verdict="mixed",
            explanation=sentence_of_two(phrases[best], phrases[other]),
            concepts=[phrases[best], phrases[other]],
            lookalikes="",
            misfits=_misfits(np.maximum(objects.active[:, best], objects.active[:, other])),
        )
    modifier = PROPERTIES[clause].modifier if clause is not None else None
    return ExplainReply(
        candidates=candidates,
        verdict="one",
        explanation=sentence(phrases[best], modifier, [phrases[i] for i in examples]),
        concepts=[phrases[best]],
        lookalikes="",
        misfits=_misfits(objects.active[:, best]),
    )


def _kind_of(order: Ints, area: Floats, weights: Tables) -> int:
    """The best phrase, or the kind of thing that most of the best phrases agree on."""
    best, votes = int(order[0]), [int(i) for i in order[:N_VOTES]]
    for kind, members in weights.kinds:
        agree = sum(i in members for i in votes)
        if best in members and agree >= MIN_VOTES and area[kind] >= area[best] - KIND_LOSS:
            return kind
    return best


def _examples(best: int, order: Ints, objects: Ranked, kin: Floats, weights: Tables) -> list[int]:
    """Up to two of the best phrases that are of its kind or near in meaning, hold for many, and add different words."""
    covered = next((members for kind, members in weights.kinds if kind == best), frozenset[int]())
    used = _words(weights.phrases[best])
    found: list[int] = []
    for i in (int(i) for i in order[:12] if i < weights.n_general):
        own = _words(weights.phrases[i])
        near = i in covered or (kin[i] >= KIN and not own & _words(weights.phrases[best]))
        holds = objects.area[i] >= MIN_OBJECT and (objects.active[:, i] > HIT).mean() >= EXAMPLE_COVER
        if near and holds and own - used and not (own & used) - _words(weights.phrases[best]):
            found.append(i)
            used |= own
    return found[:2]


def _words(phrase: str) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in phrase.split())


def _second(hits: Mask, order: Ints, objects: Ranked, kin: Floats) -> int | None:
    """Another phrase that holds for most of the images that the best one misses."""
    for i in order[1:200]:
        if kin[i] < 0.3 and (objects.active[~hits, i] > HIT).mean() >= 0.6 and objects.area[i] >= MIN_OBJECT:
            return int(i)
    return None


def _misfits(z: Floats) -> list[int]:
    """Active images that have no more of it than the middle of the background."""
    return [int(i) + 1 for i in np.flatnonzero(z <= 0)]
