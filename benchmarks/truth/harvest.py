"""What a dump would hold of a feature: its strata with the chance that each image had of entering them."""

from dataclasses import dataclass

import numpy as np

from autointerp.evidence import draw_shown
from autointerp.schema import Exemplar, Explanation, Feature, FeatureRow, ImageRow, Usage
from autointerp.settings import ExplainSettings
from autointerp.synthetic.evidence import inclusion, systematic
from benchmarks.truth.features import Planted, words
from benchmarks.truth.world import Concept, Floats, Ints, World

BANDS = ("q1", "q2", "q3")
PROBES = 40
"""Active rows, at most, whose embeddings a silent image is compared with."""


@dataclass(frozen=True)
class Size:
    """How many rows a feature gets at most."""

    top: int
    band: int
    """Of each of three."""
    silent: int
    guided: int


USUAL = Size(top=20, band=12, silent=90, guided=90)
UNIFORM = Size(top=20, band=12, silent=180, guided=0)
LARGE = Size(top=20, band=100, silent=3000, guided=600)
LARGE_UNIFORM = Size(top=20, band=100, silent=12000, guided=0)


def harvest(planted: Planted, size: Size, draw: int = 0) -> Feature:
    """The feature's rows.

    `top` are its strongest images; q1 to q3 are thirds of the others by activation, drawn uniformly within each. Of the
    silent images some are drawn uniformly and some by likeness to the active rows; either draw brings an image in, so
    that its probability is p_s + p_g - p_s·p_g. An image that both drew stands once, as guided.
    """
    level = planted.activation
    chance = np.random.default_rng(
        (0x4A2, planted.world.seed, planted.number, size.silent, size.guided, *(() if draw == 0 else (draw,)))
    )
    fires = np.flatnonzero(planted.fires)
    fires = fires[np.argsort(-level[fires], kind="stable")]
    rows = [Exemplar(int(i), float(level[i]), "top", 1.0, None, None) for i in fires[: size.top]]
    for name, band in zip(reversed(BANDS), np.array_split(fires[size.top :], len(BANDS)), strict=True):
        n = min(size.band, len(band))
        drawn = np.sort(chance.choice(band, n, replace=False)) if n else band
        rows += [Exemplar(int(i), float(level[i]), name, n / len(band), None, None) for i in drawn]
    silent = np.flatnonzero(~planted.fires)
    p_guided = np.zeros(len(silent))
    if size.guided:
        probes = np.array([e.image for e in rows[:PROBES]])
        p_guided = guided_probabilities(planted.world, probes, silent, size.guided)
    rows += _silent(silent, p_guided, size, level, chance)
    n_active = len(fires)
    return Feature(FeatureRow(planted.number, 1, n_active, float(level.max()), None, None), tuple(rows))


def guided_probabilities(world: World, probes: Ints, silent: Ints, n: int) -> Floats:
    """Chances of a draw of about `n`, in proportion to 1/rank of likeness: every doubling of the rank is worth alike.

    Likeness is the largest cosine of an image's embedding with those of the probes.
    """
    near = np.max(world.embedding[silent] @ world.embedding[probes].T, axis=1)
    rank = np.empty(len(silent))
    rank[np.argsort(-near, kind="stable")] = np.arange(1, len(silent) + 1)
    return inclusion(1 / rank, n)


def _silent(silent: Ints, p_guided: Floats, size: Size, level: Floats, chance: np.random.Generator) -> list[Exemplar]:
    n = min(size.silent, len(silent))
    uniform = n / len(silent)
    either = uniform + p_guided - uniform * p_guided
    by_chance = chance.choice(len(silent), n, replace=False)
    by_likeness = systematic(p_guided, chance)
    return [
        Exemplar(int(silent[i]), float(level[silent[i]]), name, float(either[i]), None, None)
        for name, drawn in (("silent", np.setdiff1d(by_chance, by_likeness)), ("guided", by_likeness))
        for i in np.sort(drawn)
    ]


def image_rows(feature: Feature) -> dict[int, ImageRow]:
    """Every image of a feature as a dump describes it: no two alike, none in a group."""
    return {e.image: ImageRow(e.image, 64, 64, f"{e.image:064x}", None, None, None) for e in feature.exemplars}


def explanation_of(feature: Feature, concept: Concept) -> Explanation:
    """As the explainer would have written it from the images that it is shown by default."""
    shown = draw_shown(feature, image_rows(feature), ExplainSettings())
    text = words(concept)
    return Explanation(
        feature=feature.id,
        text=text,
        concepts=(text,),
        none=False,
        model="planted",
        prompt="0" * 12,
        images=tuple(e.image for e in shown.active),
        contrast=tuple(e.image for e in shown.contrast),
        usage=Usage(),
        created="2026-01-01T00:00:00Z",
    )
