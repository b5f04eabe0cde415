"""Plants a dump whose truth is known: coloured shapes on grounds whose tint spells the image's number."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from autointerp.dump.format import Attribute, DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Box, Exemplar, FeatureRow, PoolRow

COLOURS = {"red": (220, 50, 50), "green": (40, 170, 60), "blue": (50, 80, 220)}
SHAPES = ("circle", "square", "triangle")
PAIRS = tuple(product(COLOURS, SHAPES))
Pair = tuple[str, str]

GRID = (8, 8)
N_IMAGES = 300
SIZES = ((128, 96), (96, 128), (144, 144))
SIDES = (32, 36, 40)
GAP = 5
"""Pixels between objects, and between an object and the image's edge."""

FIRST_LEVEL, STEP, LEVELS, SPREAD = 90, 12, 9, 5
"""Tints: each channel is 90 + 12k, k in 0…8, and no two channels are more than 5 steps apart, so all are greyish."""

N_TOP, N_BAND, N_SILENT, N_GUIDED = 20, 8, 12, 8
"""Exemplars of each stratum; there are three bands."""


@dataclass(frozen=True)
class Planted:
    """A feature that fires on images with an object of any of these kinds."""

    name: str
    pairs: frozenset[Pair]


@dataclass(frozen=True)
class Thing:
    """An object of a scene."""

    pair: Pair
    box: Box


@dataclass(frozen=True)
class Scene:
    """What an image shows."""

    image: int
    size: tuple[int, int]
    things: tuple[Thing, ...]
    group: str | None

    @property
    def pairs(self) -> frozenset[Pair]:
        """Kinds of its objects."""
        return frozenset(t.pair for t in self.things)


def kinds(text: str) -> frozenset[Pair]:
    """`red circle`, `red`, `square`, or several joined with ` or `, as the kinds of object meant."""
    out: set[Pair] = set()
    for clause in text.split(" or "):
        words = clause.replace(",", " ").replace(";", " ").split()
        colours = [c for c in COLOURS if c in words]
        shapes = [s for s in SHAPES if s in words]
        if colours or shapes:
            out |= set(product(colours or COLOURS, shapes or SHAPES))
    return frozenset(out)


NAMES = (
    "red circle",
    "blue square",
    "green triangle",
    "red",
    "square",
    "blue triangle",
    "red circle or blue square",
    "green square",
    "triangle",
    "blue",
    "green circle or red triangle",
    "circle",
)
FEATURES = tuple(Planted(name, kinds(name)) for name in NAMES)
MIXED_NAMES = (
    "green triangle",
    "blue circle or red square",
    "blue square",
    "square or red triangle",
    "green circle or red triangle",
)
"""Three of them have two concepts; squares are three times as many as red triangles."""
MIXED = tuple(Planted(name, kinds(name)) for name in MIXED_NAMES)


def tints() -> tuple[tuple[int, int, int], ...]:
    """The ground of each image, by number."""
    steps = [t for t in product(range(LEVELS), repeat=3) if max(t) - min(t) <= SPREAD]
    r = FIRST_LEVEL
    return tuple((r + STEP * a, r + STEP * b, r + STEP * c) for a, b, c in steps)


def make_scenes(n: int = N_IMAGES, seed: int = 0) -> tuple[Scene, ...]:
    """One or two objects of different colours an image; each eighth repeats the one before it on another tint."""
    chance = Random(f"scenes:{seed}")
    scenes: list[Scene] = []
    for image in range(n):
        if image % 8 == 7:
            twin = scenes[-1]
            scenes[-1] = Scene(twin.image, twin.size, twin.things, f"twins-{image}")
            scenes.append(Scene(image, twin.size, twin.things, f"twins-{image}"))
            continue
        size = SIZES[image % len(SIZES)]
        things = [Thing(PAIRS[image % len(PAIRS)], _place(size, (), chance))]
        if chance.random() < 0.35:
            others = [p for p in PAIRS if p[0] != things[0].pair[0]]
            things.append(Thing(chance.choice(others), _place(size, [things[0].box], chance)))
        scenes.append(Scene(image, size, tuple(things), None))
    return tuple(scenes)


def _place(size: tuple[int, int], taken: Sequence[Box], chance: Random) -> Box:
    side = chance.choice(SIDES)
    while True:
        x, y = (chance.randint(GAP, length - GAP - side) for length in size)
        box = Box(x, y, x + side, y + side)
        if all(
            box.x1 + GAP <= t.x0 or t.x1 + GAP <= box.x0 or box.y1 + GAP <= t.y0 or t.y1 + GAP <= box.y0 for t in taken
        ):
            return box


def draw(scene: Scene) -> bytes:
    """The scene as a PNG file."""
    image = Image.new("RGB", scene.size, tints()[scene.image])
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        colour, shape = thing.pair
        b, fill = thing.box, COLOURS[colour]
        if shape == "circle":
            pen.ellipse((b.x0, b.y0, b.x1 - 1, b.y1 - 1), fill=fill)
        elif shape == "square":
            pen.rectangle((b.x0, b.y0, b.x1 - 1, b.y1 - 1), fill=fill)
        else:
            pen.polygon(((b.x0, b.y1 - 1), ((b.x0 + b.x1) // 2, b.y0), (b.x1 - 1, b.y1 - 1)), fill=fill)
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


def heat_of(box: Box, size: tuple[int, int], grid: tuple[int, int] = GRID) -> bytes:
    """Full heat in every cell that the box touches, a weak floor elsewhere."""
    rows, cols = grid
    across, down = size[0] / cols, size[1] / rows
    return bytes(
        255
        if box.x0 < (c + 1) * across and box.x1 > c * across and box.y0 < (r + 1) * down and box.y1 > r * down
        else 8
        for r in range(rows)
        for c in range(cols)
    )


def activation(feature: Planted, scene: Scene) -> float:
    """Above 1 exactly where an object of the feature's kinds is there; quarters, which float32 holds exactly."""
    if not scene.pairs & feature.pairs:
        return 0.0
    return 1.25 + Random(f"{feature.name}:{scene.image}").randrange(4096) / 256


@dataclass(frozen=True)
class Population:
    """A planted dump on disk, and the truth about it."""

    folder: Path
    scenes: tuple[Scene, ...]
    features: tuple[Planted, ...]


def plant(
    folder: Path,
    *,
    features: Iterable[Planted] = FEATURES,
    n_images: int = N_IMAGES,
    n_top: int = N_TOP,
    n_band: int = N_BAND,
    n_silent: int = N_SILENT,
    marks: str = "heat",
    labels: bool = True,
    n_pool: int = 0,
) -> Population:
    """Writes the dump.

    Args:
        folder: must not exist.
        features: in the order of their numbers.
        n_images: at most as many as there are tints.
        n_top: exemplars of stratum `top`.
        n_band: exemplars of each of q1 to q3.
        n_silent: of a uniform draw from the silent images.
        marks: `heat`, `box`, `none`: what exemplars say of the region; `wrong`: heat in a corner without the object.
        labels: whether images have one.
        n_pool: images of the dump's pool; 0 for a dump without one.
    """
    scenes, features = make_scenes(n_images), tuple(features)
    info = DumpInfo(
        name="planted",
        created="2026-01-31T12:00:00+00:00",
        created_by="tests",
        model="shapes",
        hookpoint="eye",
        n_latents=max(16, len(features)),
        widths=(8, max(16, len(features))),
        n_images=n_images,
        active_above=1.0,
        patch_grid=GRID,
        attribute=Attribute(name="pointed", description="shows a triangle"),
    )
    pool = sorted(Random("pool").sample(scenes, n_pool), key=lambda s: s.image)
    with DumpWriter(folder, info, pooled=n_pool > 0) as writer:
        for scene in scenes:
            pointed = any(shape == "triangle" for _, shape in scene.pairs)
            name = "+".join(f"{c} {s}" for c, s in sorted(scene.pairs))
            data, row = draw(scene), {"attribute": pointed, "group": scene.group, "label": name if labels else None}
            row["pool"] = scene in pool
            if scene.image % 2:
                writer.add_image(scene.image, data=data, size=scene.size, **row)
                continue
            path = writer.work / "images" / f"{scene.image}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            writer.add_image(scene.image, path=f"images/{scene.image}.png", size=scene.size, **row)
        for number, feature in enumerate(features):
            row, exemplars = _evidence(number, feature, scenes, info, (n_top, n_band, n_silent), marks)
            writer.add_feature(row, exemplars, _on_pool(feature, pool) if pool else None)
    return Population(folder, scenes, features)


def _alike(feature: Planted, scene: Scene) -> bool:
    """Whether it has an object of a colour or a shape of the feature."""
    words = {word for pair in feature.pairs for word in pair}
    return any(words & set(pair) for pair in scene.pairs)


def _on_pool(feature: Planted, pool: Sequence[Scene]) -> PoolRow:
    """What fires, and the look-alikes by number."""
    fires = {s.image: activation(feature, s) for s in pool if activation(feature, s)}
    return PoolRow(fires, tuple(s.image for s in pool if s.image not in fires and _alike(feature, s)))


def _evidence(
    number: int,
    feature: Planted,
    scenes: Sequence[Scene],
    info: DumpInfo,
    sizes: tuple[int, int, int],
    marks: str,
) -> tuple[FeatureRow, list[Exemplar]]:
    n_top, n_band, n_silent = sizes
    chance = Random(f"evidence:{number}")
    fires = sorted((s for s in scenes if activation(feature, s) > 1), key=lambda s: (-activation(feature, s), s.image))
    top, rest = fires[:n_top], fires[n_top:]
    out = [_exemplar(feature, s, "top", 1.0, marks) for s in top]
    for i, name in enumerate(("q3", "q2", "q1")):
        band = rest[len(rest) * i // 3 : len(rest) * (i + 1) // 3]
        drawn = chance.sample(band, min(n_band, len(band)))
        out += [_exemplar(feature, s, name, len(drawn) / len(band), marks) for s in drawn]
    silent = [s for s in scenes if activation(feature, s) == 0]
    alike = [s for s in silent if _alike(feature, s)]
    guided = chance.sample(alike, min(N_GUIDED, len(alike)))
    drawn = chance.sample([s for s in silent if s not in guided], n_silent)
    out += [_exemplar(feature, s, "guided", len(guided) / len(alike), "none") for s in guided]
    out += [_exemplar(feature, s, "silent", n_silent / (len(silent) - len(guided)), "none") for s in drawn]
    pointed = sum(any(shape == "triangle" for _, shape in s.pairs) for s in fires)
    strongest = activation(feature, fires[0]) if fires else 0.0
    row = FeatureRow(number, info.width_of(number), len(fires), strongest, pointed, None)
    return row, out


def _exemplar(feature: Planted, scene: Scene, stratum: str, probability: float, marks: str) -> Exemplar:
    own = next((t.box for t in scene.things if t.pair in feature.pairs), None)
    heat = None
    if own is not None and marks == "heat":
        heat = heat_of(own, scene.size)
    elif marks == "wrong":
        heat = heat_of(_empty_corner(scene), scene.size)
    box = own if marks == "box" else None
    return Exemplar(scene.image, activation(feature, scene), stratum, probability, box, heat)


def _empty_corner(scene: Scene) -> Box:
    """The corner farthest from every object."""
    width, height = scene.size
    corners = [Box(x, y, x + 8, y + 8) for x in (0, width - 8) for y in (0, height - 8)]
    return max(
        corners,
        key=lambda c: min(abs(c.x0 - t.box.x0) + abs(c.y0 - t.box.y0) for t in scene.things),
    )
