"""Embedding: how alike the crops are that fire a feature, and how like its explanation, measured without a judge.

Monosemanticity needs no explanation: it tells a bad feature from a bad explanation. It is the mean cosine over pairs of
active crops, weighted by ã (Pach et al. 2025, arXiv 2504.02821). Here ã is the activation, as a share of the feature's
largest, times the images of the population that the crop stands for, so that the figure is that of all images which
fire the feature and not of the strongest. Pairs of near-duplicates do not count.

In most spaces any two crops have a cosine above 0, so the figure means nothing by itself: the control `silent` is the
same of silent crops, cut likewise, and `centred` that of the active ones after the silent ones' mean was taken off.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autointerp.images.picture import Picture
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Control, Details
from autointerp.scoring.case import MORE_ACTIVE, Case, Outcome, Scorer
from autointerp.scoring.embedder import Embedder
from autointerp.scoring.embedding_statistics import (
    Crops,
    Floats,
    alike,
    auroc_interval,
    centred,
    monosemanticity,
    p_of_labels,
)
from autointerp.scoring.judge import SETTLED
from autointerp.scoring.sampling import Item
from autointerp.statistics.resampling import Draws

NAME = "embedding"
LEAST_SHARE = 1e-3
"""The share of the largest activation below which a crop that fires counts no less."""


class Embedded(NamedTuple):
    """An image and its vector."""

    item: Item
    vector: Floats


async def embedding(case: Case) -> Outcome:
    """Computes the monosemanticity of held-out active crops, and beside it how like the explanation they are.

    Crops that cannot be embedded (a broken image, a refusal) are left out and counted as `missing`.
    """
    embedder, n = case.embedder, case.settings.n_embedding
    assert embedder is not None, "a run with this scorer opens an embedder"
    items = case.pool.without_margin.draw(n, n).items
    seen = await _embedded(case, embedder, items)
    if isinstance(seen, Failure):
        return seen
    active, silent = (_crops([e for e in seen if e.item.active == side], case) for side in (True, False))
    if (own := active.n_groups) < (least := max(2, case.settings.min_active)):
        return case.unscored(NAME, f"{own} different held-out active images, {least} are needed; {MORE_ACTIVE}")
    details: Details = {"embedder": embedder.name, "n_silent": len(silent.weight), "missing": len(items) - len(seen)}
    controls: dict[str, Control] = {}
    if silent.n_groups > 1:
        usual = alike(silent, case.draws)
        controls["silent"] = Control(value=usual.value, low=usual.low, high=usual.high, n=len(silent.weight))
        details["p_silent"] = p_of_labels(active, silent, case.draws)
        details["centred"] = monosemanticity(centred(active.vectors, silent.vectors), active.weight, active.group)
        if not case.explanation.none:
            # The vector of a disjunction lies between its parts, near none of them.
            told = await embedder.texts(case.explanation.parts or [case.explanation.text])
            if isinstance(told, Failure):
                return told
            details |= _likeness(told.astype(np.float64), active, silent, case.draws)
    return case.scored(NAME, alike(active, case.draws), len(active.weight), details, controls)


async def _embedded(case: Case, embedder: Embedder, items: Sequence[Item]) -> list[Embedded] | Failure:
    """Embeds items; each half of a batch that settles in a failure is tried by itself."""
    side, quality = case.settings.region.side, case.settings.region.quality
    vectors = await embedder.pictures([Picture((case.pool.region_tile(i.exemplar),), side, quality) for i in items])
    if not isinstance(vectors, Failure):
        return [Embedded(i, v.astype(np.float64)) for i, v in zip(items, vectors, strict=True)]
    if vectors.kind not in SETTLED:
        return vectors
    if len(items) == 1:
        case.gaps.append(vectors)
        return []
    middle = len(items) // 2
    out: list[Embedded] = []
    for half in (items[:middle], items[middle:]):
        part = await _embedded(case, embedder, half)
        if isinstance(part, Failure):
            return part
        out += part
    return out


def _crops(seen: Sequence[Embedded], case: Case) -> Crops:
    """Makes columns of one side; a silent crop's activation does not count."""
    largest = case.feature.row.max_activation
    stands_for = np.array([e.item.weight for e in seen], float)
    level = np.array([e.item.exemplar.activation for e in seen], float)
    share = np.clip(level / largest, LEAST_SHARE, 1.0) if largest > 0 else np.ones(len(seen))
    silent = np.array([not e.item.active for e in seen], bool)
    names = [e.item.group or f"image {e.item.exemplar.image}" for e in seen]
    _, group = np.unique(names, return_inverse=True)
    vectors = np.stack([e.vector for e in seen]) if seen else np.zeros((0, 1))
    return Crops(vectors, stands_for * np.where(silent, 1.0, share), stands_for, group.astype(np.int64))


def _likeness(texts: Floats, active: Crops, silent: Crops, draws: Draws) -> Details:
    """Computes how much more like the explanation the active crops are than the silent ones.

    The figures are the AUROC of the cosine and the difference of mean cosines. AUROC does not see an explanation that
    is too wide or too narrow as long as it ranks well (NeuronEval, arXiv 2506.05774), hence a detail and no score.

    Args:
        texts: vectors of the explanation's parts, or of itself where it has none, [texts, d]; the likest one counts.
        active: the crops that fire the feature.
        silent: the crops that do not.
        draws: how the interval is drawn.
    """
    near, far = (np.max(side.vectors @ texts.T, axis=1) for side in (active, silent))
    found = auroc_interval(near, far, active, silent, draws)
    gap = np.average(near, weights=active.stands_for) - np.average(far, weights=silent.stands_for)
    return {
        "likeness": found.value,
        "likeness_low": found.low,
        "likeness_high": found.high,
        "likeness_gap": float(gap),
    }


EMBEDDING = Scorer(NAME, embedding, reads_text=False, sides="none", needs_embedder=True)
