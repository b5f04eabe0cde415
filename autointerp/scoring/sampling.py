"""Which held-out images are judged for a feature, in what order, and how many images each stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from autointerp.config import ScoreSettings
from autointerp.evidence import Images, held_out, kin_of_all, spread, strata
from autointerp.images.picture import Tile
from autointerp.schema import STRATA, Exemplar, Explanation, Feature
from autointerp.tiles import borrowed_box, region_box, tile_of


@dataclass(frozen=True, slots=True)
class Item:
    """One held-out image to be judged."""

    exemplar: Exemplar
    tile: Tile
    weight: float
    """Images of the population that it stands for."""

    @property
    def active(self) -> bool:
        """Whether the feature fires on it."""
        return not self.exemplar.silent


@dataclass(frozen=True, slots=True)
class Sample:
    """The images judged for one feature, in the order of judging."""

    items: tuple[Item, ...]

    @property
    def active(self) -> tuple[Item, ...]:
        """Those on which it fires."""
        return tuple(i for i in self.items if i.active)

    @property
    def silent(self) -> tuple[Item, ...]:
        """Those on which it does not."""
        return tuple(i for i in self.items if not i.active)

    def calls(self, per_call: int) -> list[tuple[Item, ...]]:
        """The items in runs of nearly equal length, at most `per_call` each.

        The order is shuffled over all strata, so that the share of active images differs from call to call.
        """
        n = -(-len(self.items) // per_call)
        cuts = [round(len(self.items) * i / n) for i in range(n + 1)] if n else []
        return [self.items[a:b] for a, b in pairwise(cuts)]


def draw_sample(
    feature: Feature,
    explanation: Explanation,
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> Sample:
    """Draws the judged images by seed and feature alone.

    Weights are 1/probability, raised in each stratum by (its rows in the dump) / (its rows judged), since shown and
    unjudged rows were left out at random, then scaled so that active ones stand for `n_active` images and silent ones
    for the rest of the population, which are known.

    Args:
        feature: with all its exemplars.
        explanation: whose shown images, with their near-duplicates, are left out.
        images: rows of every image of the feature and of the explanation.
        settings: how many, and how rendered.
        grid: rows and columns of the dump's heat maps.
        n_images: size of the population.
    """
    chance = Random(f"judged:{settings.seed}:{feature.id}")
    shown = (*explanation.images, *explanation.contrast)
    left = strata(held_out(feature, images, shown))
    chosen = [
        *_draw(left, [s for s in STRATA if s not in ("silent", "guided")], settings.n_active, chance),
        *_draw(left, ["silent", "guided"], settings.n_silent, chance),
    ]
    weights = _weights(feature, chosen, n_images)
    tiles = _tiles(chosen, images, settings, grid, chance)
    items = [Item(e, tiles[e.image], weights[e.image]) for e in chosen]
    chance.shuffle(items)
    judged = [i.exemplar.image for i in items]
    assert not set(judged) & set(shown), "an image that the explainer saw must never be scored on"
    assert not kin_of_all(judged, images) & kin_of_all(shown, images), "nor a near-duplicate of one"
    return Sample(tuple(items))


def _draw(left: Mapping[str, Sequence[Exemplar]], names: Sequence[str], n: int, chance: Random) -> list[Exemplar]:
    """`n` exemplars spread evenly over the named strata, drawn at random within each."""
    present = [name for name in names if left.get(name)]
    shares = spread(n, [len(left[name]) for name in present])
    out: list[Exemplar] = []
    for name, share in zip(present, shares, strict=True):
        out += chance.sample(sorted(left[name], key=lambda e: e.image), share)
    return out


def _weights(feature: Feature, chosen: Sequence[Exemplar], n_images: int) -> dict[int, float]:
    rows, judged = strata(feature.exemplars), strata(chosen)
    raw = {e.image: len(rows[e.stratum]) / len(judged[e.stratum]) / e.probability for e in chosen}
    stands_for = {False: feature.row.n_active, True: n_images - feature.row.n_active}
    out: dict[int, float] = {}
    for silent, total in stands_for.items():
        own = [e for e in chosen if e.silent == silent]
        whole = sum(raw[e.image] for e in own)
        out |= {e.image: raw[e.image] * max(total, len(own)) / whole for e in own}
    return out


def _tiles(
    chosen: Sequence[Exemplar], images: Images, settings: ScoreSettings, grid: tuple[int, int] | None, chance: Random
) -> dict[int, Tile]:
    boxes = {e.image: region_box(e, images[e.image], grid, settings.region) for e in chosen}
    lenders = [(boxes[e.image], images[e.image]) for e in chosen if not e.silent]
    for e in chosen:
        if e.silent and e.heat is None and e.box is None and lenders:
            boxes[e.image] = borrowed_box(images[e.image], lenders, chance)
    return {e.image: tile_of(e, images[e.image], settings.rendering, boxes[e.image], grid) for e in chosen}
