"""Which held-out images are judged for a feature, in what order, and how many images each stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from random import Random

from autointerp.evidence import Images, held_out, kin_of_all, spread, strata
from autointerp.images.picture import Rendering, Tile
from autointerp.schema import SILENT_STRATA, STRATA, Box, Exemplar, Explanation, Feature, ImageRow
from autointerp.settings import ScoreSettings
from autointerp.tiles import borrowed_box, region_box, tile_of

ACTIVE_STRATA = tuple(s for s in STRATA if s not in SILENT_STRATA)
GUIDED_SHARE = 2 / 3
"""Of the silent images judged first, those from the look-alikes, among which a too broad explanation is caught."""


@dataclass(frozen=True, slots=True)
class Item:
    """One held-out image to be judged."""

    exemplar: Exemplar
    tile: Tile
    weight: float
    """Images of the population that it stands for."""
    group: str = ""
    """The same for near-duplicates of one another; empty for an image that stands alone."""

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


@dataclass(frozen=True)
class Pool:
    """A feature's held-out exemplars, in each stratum in the order in which they would be judged.

    However many are judged, they are the first ones of each stratum: judging on never draws anew.
    """

    feature: Feature
    images: Images
    settings: ScoreSettings
    grid: tuple[int, int] | None
    """Rows and columns of the dump's heat maps."""
    n_images: int
    """Size of the population."""
    ordered: Mapping[str, tuple[Exemplar, ...]]
    """By stratum; only strata that have any."""
    _tiles: dict[tuple[int, Rendering], Tile] = field(default_factory=dict, repr=False, compare=False)

    @property
    def active(self) -> tuple[Exemplar, ...]:
        """Held-out exemplars on which the feature fires."""
        return tuple(e for s in ACTIVE_STRATA for e in self.ordered.get(s, ()))

    @property
    def silent(self) -> tuple[Exemplar, ...]:
        """Held-out exemplars on which it does not."""
        return tuple(e for s in SILENT_STRATA for e in self.ordered.get(s, ()))

    def spread(self, n_active: int, n_silent: int) -> dict[str, int]:
        """So many images of each side, stratum to count: active ones evenly, silent ones mostly from the guided.

        Of each active stratum there is one at least, since the others could not speak for it.
        """
        present = [s for s in ACTIVE_STRATA if s in self.ordered]
        n_active = max(n_active, len(present))
        out = dict(zip(present, spread(n_active, [len(self.ordered[s]) for s in present]), strict=True))
        room = {s: len(self.ordered[s]) for s in SILENT_STRATA if s in self.ordered}
        guided = min(room.get("guided", 0), round(GUIDED_SHARE * n_silent))
        silent = min(room.get("silent", 0), n_silent - guided)
        counts = {"silent": silent, "guided": min(room.get("guided", 0), n_silent - silent)}
        return out | {s: counts[s] for s in room}

    def sample(self, counts: Mapping[str, int]) -> Sample:
        """The first so many of each stratum, shuffled, with the weights that make them stand for the population.

        Weights are 1/probability, raised in each stratum by (its rows in the dump) / (its rows judged), since shown
        and unjudged rows were left out at random, then scaled so that active ones stand for `n_active` images and
        silent ones for the rest of the population, which are known.
        """
        chosen = [e for s in STRATA for e in self.ordered.get(s, ())[: counts.get(s, 0)]]
        weights = self._weights(chosen)
        items = [Item(e, self.tile(e), weights[e.image], self._group(e)) for e in chosen]
        Random(f"order:{self.settings.seed}:{self.feature.id}:{len(items)}").shuffle(items)
        return Sample(tuple(items))

    def tile(self, exemplar: Exemplar, rendering: Rendering | None = None) -> Tile:
        """How the judge sees an exemplar; a silent one without a region borrows that of an active one."""
        shown_as = rendering or self.settings.rendering
        # Judging on asks for the same tiles round after round.
        if (made := self._tiles.get((exemplar.image, shown_as))) is None:
            made = tile_of(exemplar, self.images[exemplar.image], shown_as, self._box(exemplar), self.grid)
            self._tiles[exemplar.image, shown_as] = made
        return made

    def _box(self, exemplar: Exemplar) -> Box | None:
        if exemplar.silent and exemplar.heat is None and exemplar.box is None and self._lenders:
            chance = Random(f"borrowed:{self.settings.seed}:{self.feature.id}:{exemplar.image}")
            return borrowed_box(self.images[exemplar.image], self._lenders, chance)
        return region_box(exemplar, self.images[exemplar.image], self.grid, self.settings.region)

    @cached_property
    def _lenders(self) -> list[tuple[Box | None, ImageRow]]:
        regions = [(e, self.images[e.image]) for e in self.active]
        return [(region_box(e, image, self.grid, self.settings.region), image) for e, image in regions]

    def _group(self, exemplar: Exemplar) -> str:
        image = self.images[exemplar.image]
        return f"group {image.group}" if image.group is not None else f"sha256 {image.sha256}"

    def _weights(self, chosen: Sequence[Exemplar]) -> dict[int, float]:
        rows, judged = strata(self.feature.exemplars), strata(chosen)
        raw = {e.image: len(rows[e.stratum]) / len(judged[e.stratum]) / e.probability for e in chosen}
        stands_for = {False: self.feature.row.n_active, True: self.n_images - self.feature.row.n_active}
        out: dict[int, float] = {}
        for silent, total in stands_for.items():
            own = [e for e in chosen if e.silent == silent]
            whole = sum(raw[e.image] for e in own)
            out |= {e.image: raw[e.image] * max(total, len(own)) / whole for e in own}
        return out


def make_pool(
    feature: Feature,
    explanation: Explanation,
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> Pool:
    """The held-out images of an explanation: neither seen when it was made, nor near-duplicates of such.

    Args:
        feature: with all its exemplars.
        explanation: whose images, with their near-duplicates, are left out.
        images: rows of every image of the feature and of the explanation.
        settings: how many are judged, and how rendered.
        grid: rows and columns of the dump's heat maps.
        n_images: size of the population.
    """
    return pool_of(feature, explanation.seen, images, settings, grid=grid, n_images=n_images)


def pool_of(
    feature: Feature,
    shown: Sequence[int],
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> Pool:
    """Orders the held-out images by seed and feature alone; `shown` are left out, the rest as for `make_pool`."""
    chance = Random(f"judged:{settings.seed}:{feature.id}")
    left = strata(held_out(feature, images, shown))
    ordered: dict[str, tuple[Exemplar, ...]] = {}
    for name in STRATA:
        if own := sorted(left.get(name, ()), key=lambda e: e.image):
            chance.shuffle(own)
            ordered[name] = tuple(own)
    judged = [e.image for own in ordered.values() for e in own]
    assert not set(judged) & set(shown), "an image that the explainer saw must never be scored on"
    assert not kin_of_all(judged, images) & kin_of_all(shown, images), "nor a near-duplicate of one"
    return Pool(feature, images, settings, grid, n_images, ordered)


def draw_sample(
    feature: Feature,
    explanation: Explanation,
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
) -> Sample:
    """The images that are judged first: `n_active` and `n_silent` of the settings; arguments as for `make_pool`."""
    pool = make_pool(feature, explanation, images, settings, grid=grid, n_images=n_images)
    return pool.sample(pool.spread(settings.n_active, settings.n_silent))
