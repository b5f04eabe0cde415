"""Draws things on a floor under one light, and plants at most one physical error in a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.paper.cutouts import Cutout
from benchmarks.paper.rooms import PLAIN, SIDE, Light, View, graded, painted, plain_room

KINDS = ("floating", "no shadow", "contradictory shadow", "interpenetration", "doubled part")
"""Planted errors: a thing hangs above its shadow; casts none; casts it towards the light; passes through another
thing; has its upper part twice."""
PAIRS = frozenset({"contradictory shadow", "interpenetration"})
"""Errors that need two things."""
FOOT = (0.70, 0.94)
"""Where things stand, likewise."""
TALL = (0.30, 0.46)
"""Longest side of a thing, as a fraction of the scene's."""
LIFT = (0.14, 0.22)
"""How high a floating thing hangs, likewise."""
OVERLAP = 0.45
"""Share of a thing's width by which two may overlap."""
TOUCHING = 0.3
"""Share of sound scenes of two things in which one stands before the other: an overlap alone is no error."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is wrong with it."""

    image: Image.Image
    """RGB."""
    kind: str
    """One of `KINDS`, or empty."""
    box: Box | None
    """Of the thing that is wrong, pixels; None in a sound scene."""
    things: tuple[str, ...]
    """Names of what it shows, the wrong one first."""
    light: int
    """To which side shadows fall, -1 left, 1 right."""
    close: bool
    """Whether one thing stands before another."""


@dataclass(slots=True)
class _Placed:
    sprite: Image.Image
    x: int
    foot: int
    lift: int = 0
    shadow: int = 1
    """Direction of the shadow, 1 as the light wants it, -1 against, 0 none."""

    @property
    def top(self) -> int:
        return self.foot - self.lift - self.sprite.height

    @property
    def box(self) -> Box:
        return self.x, self.top, self.x + self.sprite.width, self.foot - self.lift


def draw(things: Sequence[Cutout], kind: str, seed: int, view: View | None = None, *, planted: bool = True) -> Scene:
    """Draws one or two things; the first one is the one that is wrong.

    Args:
        things: one, or two for the errors in `PAIRS`.
        kind: one of `KINDS`, or empty for a sound scene.
        seed: of places and sizes, and of what the view leaves open.
        view: room, light and camera; None is a plain room.
        planted: whether the error is there; without it everything else stays as it would be with it.
    """
    chance = Random(f"scene:{seed}")
    image = plain_room(chance) if view is None else painted(view, chance)
    light = chance.choice((-1, 1))
    placed = _place(things, kind, chance, 1.0 if view is None else view.near)
    wrong = placed[0]
    if kind == "doubled part":
        _double(wrong, chance, planted=planted)
    elif planted:
        _spoil(wrong, kind, chance)
    for one in placed:
        _shade(image, one, light, PLAIN if view is None else view.light)
    for one in sorted(placed, key=lambda p: p.foot):
        image.paste(one.sprite, (one.x, one.top), one.sprite)
    if kind == "interpenetration" and planted:
        _pass_through(image, wrong, placed[1], chance)
    box = _within(wrong.box) if kind and planted else None
    shown = image if view is None else graded(view, image)
    return Scene(shown, kind if planted else "", box, tuple(t.name for t in things), light, _overlap(placed))


def _spoil(wrong: _Placed, kind: str, chance: Random) -> None:
    if kind == "floating":
        wrong.lift = round(chance.uniform(*LIFT) * SIDE)
    elif kind in ("no shadow", "contradictory shadow"):
        wrong.shadow = 0 if kind == "no shadow" else -1


def _double(wrong: _Placed, chance: Random, *, planted: bool) -> None:
    """Doubles the upper part, or puts the thing where it would stand if it were doubled."""
    doubled, left = _doubled(wrong.sprite, chance)
    x = min(wrong.x, SIDE - doubled.width)
    wrong.x, wrong.sprite = (x, doubled) if planted else (x + left, wrong.sprite)


def _overlap(placed: Sequence[_Placed]) -> bool:
    return len(placed) > 1 and placed[0].box[0] < placed[1].box[2] and placed[1].box[0] < placed[0].box[2]


def _place(things: Sequence[Cutout], kind: str, chance: Random, near: float) -> list[_Placed]:
    """Side by side on the floor, or one before the other."""
    sprites = [_scaled(t.image, near * chance.uniform(*TALL)) for t in things]
    # A thing that is to hang needs the room above it; one that shall have two heads, beside it.
    feet = [round(chance.uniform(*FOOT) * SIDE) for _ in sprites]
    if len(sprites) == 1:
        return [_Placed(sprites[0], _between(0.15, 0.85, sprites[0].width, chance), feet[0])]
    close = kind == "interpenetration" or (not kind and chance.random() < TOUCHING)
    first, second = sprites
    if close:
        shared = round(OVERLAP * min(first.width, second.width))
        left = chance.randint(4, max(5, SIDE - first.width - second.width + shared - 4))
        foot = min(feet)
        pair = [_Placed(first, left, foot), _Placed(second, left + first.width - shared, foot + 3)]
    else:
        pair = [
            _Placed(first, _between(0.02, 0.48, first.width, chance), feet[0]),
            _Placed(second, _between(0.52, 0.98, second.width, chance), feet[1]),
        ]
        if chance.random() < 0.5:
            pair[0].x, pair[1].x = SIDE - pair[0].x - first.width, SIDE - pair[1].x - second.width
    return pair


def _scaled(image: Image.Image, tall: float) -> Image.Image:
    scale = tall * SIDE / max(image.size)
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _between(low: float, high: float, width: int, chance: Random) -> int:
    span = round((high - low) * SIDE)
    at = round(low * SIDE) + (chance.randint(0, span - width) if span > width else (span - width) // 2)
    return max(0, min(SIDE - width, at))


def _shade(image: Image.Image, one: _Placed, side: int, light: Light) -> None:
    """A dark rim where it touches the floor, and its slanted silhouette on the floor."""
    if not one.shadow:
        return
    alpha = one.sprite.getchannel("A")
    width, height = alpha.size
    way, deep = side * one.shadow, max(4, round(light.flat * height))
    reach = round(light.slant * deep)
    # PIL asks where a pixel comes from: rows are stretched, and the higher one is, the further it was moved.
    slope = way * reach / deep
    across = (1, slope, -reach if way > 0 else 0, 0, height / deep, 0)
    cast = alpha.transform((width + reach, deep), Image.Transform.AFFINE, across, Image.Resampling.BILINEAR)
    mask = Image.new("L", image.size, 0)
    mask.paste(cast.point(lambda v: v * light.dark), (one.x - (reach if way < 0 else 0), one.foot - deep))
    rim = Image.new("L", image.size, 0)
    span = width * 0.42
    middle, thick = one.x + width / 2, max(3.0, height * 0.05)
    ImageDraw.Draw(rim).ellipse((middle - span, one.foot - thick, middle + span, one.foot + thick), fill=120)
    for shape, soft in ((mask, light.soft), (rim, 2.5)):
        image.paste((24, 24, 30), (0, 0), shape.filter(ImageFilter.GaussianBlur(soft)))


def _doubled(sprite: Image.Image, chance: Random) -> tuple[Image.Image, int]:
    """The thing with its upper part a second time, turned outwards, behind it; and how far from the left it stands."""
    width, height = sprite.size
    part = sprite.crop((0, 0, width, round(height * 0.55)))
    way = chance.choice((-1, 1))
    turned = part.rotate(-way * chance.uniform(22, 38), Image.Resampling.BICUBIC, expand=True)
    shift = round(width * chance.uniform(0.32, 0.45))
    canvas = Image.new("RGBA", (width + 2 * shift, height), (0, 0, 0, 0))
    x = shift + way * shift + (width - turned.width) // 2
    canvas.alpha_composite(turned.crop((max(0, -x), 0, turned.width, min(turned.height, height))), (max(0, x), 0))
    canvas.alpha_composite(sprite, (shift, 0))
    box = canvas.getchannel("A").getbbox()
    assert box is not None, "a thing has opaque pixels"
    return canvas.crop(box), shift - box[0]


def _pass_through(image: Image.Image, first: _Placed, second: _Placed, chance: Random) -> None:
    """Brings a part of the first thing before the second one, so that it stands before and behind it at once."""
    width, height = first.sprite.size
    y, x = np.mgrid[0:height, 0:width]
    tilt = chance.uniform(-0.4, 0.4)
    before = (y / height - 0.5) * cos(tilt * pi / 2) + tilt * (x / width - 0.5) < 0
    alpha = np.asarray(first.sprite.getchannel("A")) * before
    image.paste(first.sprite, (first.x, first.top), Image.fromarray(alpha.astype(np.uint8), "L"))


def _within(box: Box) -> Box:
    x0, y0, x1, y1 = box
    return max(0, x0), max(0, y0), min(SIDE, x1), min(SIDE, y1)
