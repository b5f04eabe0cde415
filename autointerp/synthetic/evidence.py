"""Plants features: a concept's evidence in a population of scenes, and whole dumps of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.dump.format import HISTOGRAM_BINS, Attribute, DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import BAND_STRATA, Box, Exemplar, Feature, FeatureRow
from autointerp.synthetic.concepts import Concept, holds_all, likeness, meant
from autointerp.synthetic.drawing import SIDE, boxes_of, jpeg_of
from autointerp.synthetic.scenes import Scene, Scenes
from autointerp.version import __version__

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ACTIVE_ABOVE = 1.0
GRID = (8, 8)
"""Rows and columns of the heat maps."""
FLOOR = 6
"""Heat away from the thing, of 255."""
STEEP = 12
"""A silent scene's share in the guided draw is its likeness to this power: high enough that the few scenes that come
near the concept are drawn more often than the many that do not."""
STEP = 1 / 256
"""Of activations, so that float32 holds them exactly."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many exemplars of each kind a feature gets at most."""

    top: int = 20
    band: int = 8
    """Of each of q1 to q9."""
    silent: int = 30
    guided: int = 30


def activations(concept: Concept, scenes: Scenes, seed: int) -> Floats:
    """Computes how strongly a planted feature fires on each scene, shape [n]: above 1 exactly where the concept holds.

    Made up: higher where a single object is there to draw the eye, spread by chance. Where the concept does not hold
    it is at most 0.75, the likeness to the concept times that.
    """
    chance = np.random.default_rng((0xAC71, seed)).gamma(2.0, 1.0, len(scenes))
    strong = ACTIVE_ABOVE + 0.25 + 2.0 / scenes.count + chance
    weak = 0.75 * likeness(concept, scenes)
    return np.round(np.where(holds_all(concept, scenes), strong, weak) / STEP) * STEP


def plant(
    concept: Concept,
    scenes: Scenes,
    *,
    number: int,
    width: int,
    seed: int = 0,
    wanted: Wanted | None = None,
    marks: str = "heat",
) -> Feature:
    """Makes the feature that fires where the concept holds, with its evidence.

    `top` are its strongest scenes, with probability 1; q1 to q9 are ninths of the others by activation, drawn uniformly
    within each; of the silent scenes some are drawn uniformly and some by likeness to the concept. A scene enters the
    silent rows by either draw, so its probability is p_s + p_g - p_s·p_g; a scene that both drew stands once, as
    `guided`.

    Args:
        concept: what it fires on.
        scenes: the population; a scene's image id is its index.
        number: the feature's index.
        width: the nested prefix that holds it.
        seed: of activations and draws.
        wanted: how many exemplars.
        marks: what active exemplars say of the region: `heat`, `box` or `none`.
    """
    wanted = wanted or Wanted()
    level = activations(concept, scenes, seed + number)
    chance = np.random.default_rng((0xE71D, seed, number))
    fires = np.flatnonzero(level > ACTIVE_ABOVE)
    fires = fires[np.lexsort((fires, -level[fires]))]
    rows: list[Exemplar] = []
    for stratum, image, probability in _drawn_active(fires, wanted, chance):
        scene = scenes.scene(image)
        box, heat = _marks(concept, scene, marks)
        rows.append(Exemplar(image, float(level[image]), stratum, probability, box, heat))
    silent = np.flatnonzero(level <= ACTIVE_ABOVE)
    for stratum, image, probability in _drawn_silent(silent, likeness(concept, scenes)[silent], wanted, chance):
        reached = float(level[image])
        rows.append(Exemplar(image, reached, stratum, probability, None, None, silent_activation=reached))
    return Feature(_row(number, width, level, fires, scenes), tuple(rows), ACTIVE_ABOVE)


def _drawn_active(fires: Ints, wanted: Wanted, chance: np.random.Generator) -> Iterator[tuple[str, int, float]]:
    """Yields (stratum, image, probability); `fires` has the strongest first."""
    for image in fires[: wanted.top].tolist():
        yield "top", image, 1.0
    for name, band in zip(reversed(BAND_STRATA), np.array_split(fires[wanted.top :], len(BAND_STRATA)), strict=True):
        n = min(wanted.band, len(band))
        for image in np.sort(chance.choice(band, n, replace=False)).tolist() if n else ():
            yield name, image, n / len(band)


def _drawn_silent(
    silent: Ints, near: Floats, wanted: Wanted, chance: np.random.Generator
) -> Iterator[tuple[str, int, float]]:
    """Yields (stratum, image, probability of either draw)."""
    if not len(silent):
        return
    uniform = min(wanted.silent, len(silent)) / len(silent)
    guided = inclusion(near**STEEP, wanted.guided)
    by_chance = chance.choice(len(silent), min(wanted.silent, len(silent)), replace=False)
    by_likeness = systematic(guided, chance)
    either = uniform + guided - uniform * guided
    for name, drawn in (("guided", by_likeness), ("silent", np.setdiff1d(by_chance, by_likeness))):
        for i in np.sort(drawn).tolist():
            yield name, int(silent[i]), float(either[i])


def inclusion(worth: Floats, n: int) -> Floats:
    """Computes inclusion probabilities of a draw of about `n`: in proportion to worth, at most 1; shape as `worth`.

    What would pass 1 is taken for certain and the rest shared out again, as is usual for draws with probability
    proportional to size (Särndal, Swensson & Wretman 1992, section 3.6.2).
    """
    out = np.zeros(len(worth))
    open_ = worth > 0
    while (room := n - float(np.sum(out[~open_]))) > 0 and np.any(open_):
        out[open_] = worth[open_] * room / worth[open_].sum()
        over = open_ & (out >= 1)
        if not np.any(over):
            break
        out[over] = 1.0
        open_ &= ~over
    return np.clip(out, 0.0, 1.0)


def systematic(probability: Floats, chance: np.random.Generator) -> Ints:
    """Draws indices, each with exactly its probability: Madow's (1949) draw over a random order."""
    order = chance.permutation(len(probability))
    steps = np.floor(np.cumsum(probability[order]) + chance.random())
    return order[np.diff(steps, prepend=0.0) > 0]


def _row(number: int, width: int, level: Floats, fires: Ints, scenes: Scenes) -> FeatureRow:
    strongest = float(level[fires[0]]) if len(fires) else 0.0
    bins = None
    if len(fires):
        counts, _ = np.histogram(level[fires], bins=HISTOGRAM_BINS, range=(ACTIVE_ABOVE, strongest))
        bins = tuple(counts.tolist())
    return FeatureRow(number, width, len(fires), strongest, int(np.sum(scenes.odd[fires])), bins)


def _marks(concept: Concept, scene: Scene, marks: str) -> tuple[Box | None, bytes | None]:
    boxes = boxes_of(scene)
    own = [boxes[i] for i in meant(concept, scene)]
    if marks == "heat":
        return None, heat_of(own)
    if marks == "box":
        corners = zip(*(b.corners for b in own), strict=True)
        left, top, right, bottom = corners
        return Box(min(left), min(top), max(right), max(bottom)), None
    return None, None


def heat_of(boxes: Sequence[Box]) -> bytes:
    """Makes a heat map: of each cell the share that the boxes cover, 255 for all of it."""
    rows, columns = GRID
    down, across = SIDE / rows, SIDE / columns
    heat = np.zeros(GRID)
    for b in boxes:
        y = [max(0.0, min(b.y1, (r + 1) * down) - max(b.y0, r * down)) / down for r in range(rows)]
        x = [max(0.0, min(b.x1, (c + 1) * across) - max(b.x0, c * across)) / across for c in range(columns)]
        heat = np.maximum(heat, np.outer(y, x))
    strongest = heat.max() or 1.0
    return np.maximum(FLOOR, np.round(255 * heat / strongest)).astype(np.uint8).tobytes()


def write_dump(
    folder: Path,
    name: str,
    created: str,
    scenes: Scenes,
    features: Sequence[Feature],
    sides: Sequence[int] = (SIDE,),
) -> None:
    """Writes a feature dump of planted features; only images that some feature shows are drawn.

    Args:
        folder: must not exist.
        name: of the dump.
        created: ISO 8601.
        scenes: the population.
        features: in the order of their numbers, as `plant` made them; with marks by boxes all images have SIDE.
        sides: pixels of width and height; images take turns by their ids.

    Raises:
        DumpError: the folder exists or cannot be written.
    """
    info = DumpInfo(
        name=name,
        created=created,
        created_by=f"autointerp {__version__}",
        model="planted scenes",
        hookpoint="truth",
        n_latents=features[-1].row.width,
        widths=(features[-1].row.width,),
        n_images=len(scenes),
        active_above=ACTIVE_ABOVE,
        patch_grid=GRID,
        attribute=Attribute(name="odd shadow", description="an object floats above its shadow, or casts none"),
    )
    with DumpWriter(folder, info) as writer:
        for image in shown_images(features):
            scene = scenes.scene(image)
            side = sides[image % len(sides)]
            data = jpeg_of(scene, side)
            writer.add_image(image, data=data, size=(side, side), attribute=scene.odd, label=scene.text)
        for feature in features:
            assert all(e.heat is None or len(e.heat) == prod(GRID) for e in feature.exemplars)
            writer.add_feature(feature.row, feature.exemplars)


def shown_images(features: Iterable[Feature]) -> list[int]:
    """Returns the image ids of all their exemplars, ascending."""
    return sorted({e.image for feature in features for e in feature.exemplars})
