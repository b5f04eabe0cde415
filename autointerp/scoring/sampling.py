"""Draws the held-out images that are judged for a feature, orders them, and weighs how many images each stands for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import Literal

from autointerp.evidence import Images, all_duplicate_keys, held_out, spread
from autointerp.images.picture import Rendering, Tile
from autointerp.images.region import tells
from autointerp.schema import SILENT_STRATA, STRATA, Box, Exemplar, Feature, ImageRow
from autointerp.scoring.budget import first_round
from autointerp.settings import ScoreSettings
from autointerp.tiles import borrowed_box, region_box, tile_of

ACTIVE_STRATA = tuple(s for s in STRATA if s not in SILENT_STRATA)
FEWEST = 3
"""So many images of each active stratum are judged at least, as far as it has them, so that its rate stays known."""
GUIDED_SHARE = 2 / 3
"""The share of the silent images that is drawn from the look-alikes, among which a too broad explanation is caught."""

BELOW_PER_MARGIN = 5
"""The number of clearly silent images that are judged for each one near the threshold."""

Side = Literal["active", "silent", "margin"]
Cell = tuple[str, float | None, int | None]
"""A stratum, the belief of the screening in an image of it, and the class of likeness of the image."""


@dataclass(frozen=True, slots=True)
class Item:
    """One held-out image to be judged."""

    exemplar: Exemplar
    tile: Tile
    weight: float
    """The number of images of the population that it stands for."""
    group: str = ""
    """Near-duplicates of one another have the same group; it is empty for an image that stands alone."""
    screened: float | None = None
    """The belief of the screening by which this image was chosen; None where no images were screened."""
    enlarged: Tile | None = None
    """A part of the image that is shown beside it; None where none is."""
    margin: bool = False
    """Whether it is a silent image near the threshold, which counts neither as active nor as silent."""
    likeness: int | None = None
    """The class of likeness by which a silent image was drawn, 0 for the likest; None where there are no classes."""

    @property
    def active(self) -> bool:
        """Whether the feature fires on the image."""
        return not self.exemplar.silent

    @property
    def cell(self) -> "Cell":
        """The images among which it was drawn as one of equals."""
        return self.exemplar.stratum, self.screened, self.likeness

    @property
    def stratum(self) -> str:
        """The stratum of the dump that the image was drawn from."""
        return self.exemplar.stratum


@dataclass(frozen=True, slots=True)
class Sample:
    """The images judged for one feature, in the order of judging."""

    items: tuple[Item, ...]

    @property
    def active(self) -> tuple[Item, ...]:
        """The images on which the feature fires."""
        return tuple(i for i in self.items if i.active)

    @property
    def silent(self) -> tuple[Item, ...]:
        """The images on which the feature is silent."""
        return tuple(i for i in self.items if not i.active)


@dataclass(frozen=True)
class Pool:
    """A feature's held-out exemplars; each stratum is in the order in which it would be judged.

    However many are judged, they are the first ones of each stratum: to judge further images never draws anew.
    """

    feature: Feature
    images: Images
    settings: ScoreSettings
    grid: tuple[int, int] | None
    """The rows and columns of the dump's heat maps."""
    n_images: int
    """The size of the population."""
    ordered: Mapping[str, tuple[Exemplar, ...]]
    """The exemplars by stratum, silent ones by class of likeness where there are classes; none is without any."""
    classes: Mapping[int, int] = field(default_factory=dict)
    """The class of likeness by image, of all silent exemplars of the feature; empty where there are no classes."""
    _tiles: dict[tuple[int, Rendering], Tile] = field(default_factory=dict, repr=False, compare=False)

    @property
    def active(self) -> tuple[Exemplar, ...]:
        """The held-out exemplars on which the feature fires."""
        return tuple(e for s in ACTIVE_STRATA for e in self.ordered.get(s, ()))

    def place(self, exemplar: Exemplar) -> str:
        """The key of `ordered` to which an exemplar belongs: its stratum, or the class of likeness of a silent one."""
        found = self.classes.get(exemplar.image)
        return exemplar.stratum if found is None else class_name(found)

    @property
    def silent(self) -> tuple[Exemplar, ...]:
        """The held-out exemplars on which the feature is silent, those near the threshold left out."""
        return tuple(e for own in self.ordered.values() for e in own if self.side(e) == "silent")

    @property
    def without_margin(self) -> "Pool":
        """The pool without the exemplars near the threshold; the weights of the others are the same."""
        kept = {s: tuple(e for e in own if self.side(e) != "margin") for s, own in self.ordered.items()}
        return replace(self, ordered={s: own for s, own in kept.items() if own})

    def side(self, exemplar: Exemplar) -> Side:
        """Says as what an exemplar counts: active, silent, or near the threshold and so neither."""
        if not exemplar.silent:
            return "active"
        return "margin" if self.feature.in_margin(exemplar, self.settings.silent_below) else "silent"

    @cached_property
    def margin_share(self) -> float:
        """The share of the images on which the feature does not fire that are near its threshold, 0 to 1.

        It is the ratio of the inverse probabilities of the silent rows near the threshold to those of all silent rows
        of the dump (Hájek 1971).
        """
        silent = self.feature.negatives
        near = sum(1 / e.probability for e in silent if self.side(e) == "margin")
        return near / sum(1 / e.probability for e in silent) if near else 0.0

    @cached_property
    def class_sizes(self) -> Mapping[Cell, int]:
        """How many silent images each class of likeness was cut from, those that were shown among them."""
        silent = [e for e in self.feature.negatives if self.side(e) == "silent"] if self.classes else []
        return Counter((e.stratum, None, self.classes[e.image]) for e in silent)

    def spread(self, n_active: int, n_silent: int) -> dict[str, int]:
        """Spreads numbers of active and silent images over the strata; gives the number of images by stratum.

        Active images go where the mass is: each stratum gets `FEWEST`, the others in proportion to the images that it
        stands for, which is Neyman's allocation (1934) while nothing is known of the rates. Silent ones come mostly
        from the guided stratum, or from the classes of those that are alike, each of which gets as many as the others.
        Each active stratum gets one image at least, since the others could not speak for it.
        """
        present = [s for s in ACTIVE_STRATA if s in self.ordered]
        out = allotted(
            max(n_active, len(present)),
            {s: len(self.ordered[s]) for s in present},
            {s: sum(1 / e.probability for e in self.feature.exemplars if e.stratum == s) for s in present},
        )
        room = {s: len(own) for s, own in self.ordered.items() if s not in ACTIVE_STRATA}
        # The last class holds all that are not alike.
        alike = ["guided"] if "guided" in room else list(room)[:-1] if self.classes else []
        counts = dict(zip(alike, spread(round(GUIDED_SHARE * n_silent), [room[s] for s in alike]), strict=True))
        for others in ([s for s in room if s not in alike], alike):
            left = n_silent - sum(counts.values())
            free = spread(left, [room[s] - counts.get(s, 0) for s in others])
            counts |= {s: counts.get(s, 0) + more for s, more in zip(others, free, strict=True)}
        return out | {s: counts[s] for s in room}

    @cached_property
    def first_counts(self) -> dict[str, int]:
        """The number of images by stratum that are judged in the first round."""
        return self.spread(*first_round(self.settings, self.feature.row.n_active, self.n_images))

    @cached_property
    def first_sample(self) -> Sample:
        """The images that are judged in the first round."""
        return self.sample(self.first_counts)

    def draw(self, n_active: int, n_silent: int) -> Sample:
        """Draws numbers of active and silent images, as `spread` distributes them."""
        return self.sample(self.spread(n_active, n_silent))

    def sample(self, counts: Mapping[str, int]) -> Sample:
        """Takes the first `counts` of each stratum, shuffled, with weights that make them stand for the population.

        Weights are 1/probability, raised in each stratum by (its rows in the dump) / (its rows judged), since shown
        and unjudged rows were left out at random. Rows near the threshold are a stratum of their own, as none of them
        is shown. Weights are then scaled so that the active images stand for the images that fire the feature and the
        silent ones for the rest of the population, whose numbers are known, those near the threshold for their share
        of it. So the weights of the others are right with them and without.
        """
        chosen = [e for s, own in self.ordered.items() for e in own[: counts.get(s, 0)]]
        weights = self._weights(chosen)
        items = [self._item(e, weights[e.image]) for e in chosen]
        Random(f"order:{self.settings.seed}:{self.feature.id}:{len(items)}").shuffle(items)
        return Sample(tuple(items))

    def _item(self, exemplar: Exemplar, weight: float) -> Item:
        return Item(
            exemplar,
            self.tile(exemplar),
            weight,
            self._group(exemplar),
            enlarged=self._enlarged(exemplar),
            margin=self.side(exemplar) == "margin",
            likeness=self.classes.get(exemplar.image),
        )

    def tile(self, exemplar: Exemplar, rendering: Rendering | None = None) -> Tile:
        """Gives the tile that the judge sees; a silent exemplar without a region borrows that of an active one."""
        shown_as = rendering or ("full" if self.settings.rendering == "zoom" else self.settings.rendering)
        # Each round of adaptive sampling asks for the same tiles again.
        if (made := self._tiles.get((exemplar.image, shown_as))) is None:
            style = self.settings.region.outline
            box = None if shown_as == "full" else self._box(exemplar)
            made = tile_of(exemplar, self.images[exemplar.image], shown_as, box, self.grid, style)
            self._tiles[exemplar.image, shown_as] = made
        return made

    def region_tile(self, exemplar: Exemplar) -> Tile:
        """Gives the tile of the region, for scorers that compare regions and hold no text against the population."""
        return self.tile(exemplar, "crop" if self.settings.rendering in ("full", "zoom") else None)

    def _enlarged(self, exemplar: Exemplar) -> Tile | None:
        return self.tile(exemplar, "crop") if self.settings.rendering == "zoom" else None

    def _box(self, exemplar: Exemplar) -> Box | None:
        if exemplar.silent and not tells(exemplar.heat) and exemplar.box is None and self._lenders:
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

    @cached_property
    def _rows(self) -> Counter[tuple[str, Side]]:
        """The rows of the dump by place and side; adaptive sampling asks for them in each round."""
        return Counter((self.place(e), self.side(e)) for e in self.feature.exemplars)

    def _weights(self, chosen: Sequence[Exemplar]) -> dict[int, float]:
        cells: dict[int, tuple[str, Side]] = {e.image: (self.place(e), self.side(e)) for e in chosen}
        judged = Counter(cells.values())
        raw = {e.image: self._rows[cells[e.image]] / judged[cells[e.image]] / e.probability for e in chosen}
        n_active, n_silent = self.feature.row.n_active, self.n_images - self.feature.row.n_active
        near = n_silent * self.margin_share
        stands_for: dict[Side, float] = {"active": n_active, "silent": n_silent - near, "margin": near}
        out: dict[int, float] = {}
        for side, total in stands_for.items():
            own = [e for e in chosen if cells[e.image][1] == side]
            whole = sum(raw[e.image] for e in own)
            out |= {e.image: raw[e.image] * max(total, len(own)) / whole for e in own}
        return out


def _with_few_near(own: Sequence[Exemplar], feature: Feature, settings: ScoreSettings) -> tuple[Exemplar, ...]:
    """The exemplars of a stratum in their order, with one near the threshold after each `BELOW_PER_MARGIN` others."""
    near = [e for e in own if feature.in_margin(e, settings.silent_below)]
    if not near:
        return tuple(own)
    others = [e for e in own if not feature.in_margin(e, settings.silent_below)]
    out: list[Exemplar] = []
    for i in range(0, len(others), BELOW_PER_MARGIN):
        out += [*others[i : i + BELOW_PER_MARGIN], *near[i // BELOW_PER_MARGIN :][:1]]
    return tuple(out)


def class_name(number: int) -> str:
    """The key of a class of likeness in `Pool.ordered`."""
    return f"alike {number}"


def allotted(n: int, room: Mapping[str, int], mass: Mapping[str, float]) -> dict[str, int]:
    """Allots `n` images to strata: `FEWEST` to each, and the others in proportion to mass, as far as there is room.

    Args:
        n: how many images, at least one for each stratum.
        room: the images that each stratum has.
        mass: the images of the population that each stratum stands for.
    """
    names = list(room)
    out = dict(zip(names, spread(n, [min(FEWEST, room[s]) for s in names]), strict=True))
    for _ in range(min(n, sum(room.values())) - sum(out.values())):
        # The share is met by giving each next image to the stratum that is farthest behind its own.
        out[max((s for s in names if out[s] < room[s]), key=lambda s: mass[s] / (out[s] + 1))] += 1
    return out


def calls(items: Sequence[Item], per_call: int) -> list[Sequence[Item]]:
    """Cuts items into runs of nearly equal length, at most `per_call` each.

    A sample is shuffled over all strata, so that the share of active images differs from call to call.
    """
    n = -(-len(items) // per_call)
    cuts = [round(len(items) * i / n) for i in range(n + 1)] if n else []
    return [items[a:b] for a, b in pairwise(cuts)]


def make_pool(
    feature: Feature,
    seen: Sequence[int],
    images: Images,
    settings: ScoreSettings,
    *,
    grid: tuple[int, int] | None,
    n_images: int,
    classes: Mapping[int, int] | None = None,
) -> Pool:
    """Orders the held-out images of a feature by seed and feature alone.

    Args:
        feature: the feature with all its exemplars.
        seen: ids of the images that were seen when the explanation was made; they and their near-duplicates are left
            out.
        images: rows of every image of the feature and of `seen`.
        settings: how many images are judged, and how they are rendered.
        grid: the rows and columns of the dump's heat maps.
        n_images: the size of the population.
        classes: the class of likeness of each silent exemplar, by image; None where there are no classes.
    """
    chance = Random(f"judged:{settings.seed}:{feature.id}")
    pool = Pool(feature, images, settings, grid, n_images, {}, classes or {})
    left: dict[str, list[Exemplar]] = {}
    for exemplar in held_out(feature, images, seen):
        left.setdefault(pool.place(exemplar), []).append(exemplar)
    ordered: dict[str, tuple[Exemplar, ...]] = {}
    for name in (*STRATA, *map(class_name, sorted(set(pool.classes.values())))):
        if own := sorted(left.get(name, ()), key=lambda e: e.image):
            chance.shuffle(own)
            ordered[name] = _with_few_near(own, feature, settings)
    ordered = {name: own for name, own in ordered.items() if own}
    judged = [e.image for own in ordered.values() for e in own]
    assert not set(judged) & set(seen), "an image that the explainer saw must never be scored on"
    assert not all_duplicate_keys(judged, images) & all_duplicate_keys(seen, images), "nor a near-duplicate of one"
    return replace(pool, ordered=ordered)
