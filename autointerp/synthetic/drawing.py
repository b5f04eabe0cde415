"""Draws a scene: objects that stand on a ground under soft light, with shadows that touch them, lie apart, or lack."""

import io
from functools import lru_cache
from math import cos, pi, sin
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from autointerp.schema import Box
from autointerp.synthetic.scenes import Scene, Thing

Colour = tuple[int, int, int]
Floats = npt.NDArray[np.floating]

SIDE = 256
"""Pixels of a scene's width and height by default."""
COLOURS: dict[str, Colour] = {
    "red": (214, 36, 40),
    "blue": (38, 84, 206),
    "green": (34, 148, 62),
    "yellow": (246, 208, 24),
    "black": (38, 38, 42),
    "purple": (124, 44, 168),
    "orange": (244, 128, 20),
    "pink": (248, 140, 188),
}
GROUNDS: dict[str, tuple[Colour, Colour]] = {
    "grey": ((226, 226, 228), (186, 187, 190)),
    "sand": ((240, 234, 222), (208, 194, 168)),
    "sky": ((222, 234, 244), (172, 190, 206)),
    "mint": ((230, 240, 234), (180, 202, 190)),
}
"""Wall and floor."""
HORIZON = 0.22
"""Where the wall meets the floor, as a fraction of the height from the top."""
FEET = {"top": 0.47, "bottom": 0.90}
"""Where objects of a row stand, as a fraction of the height from the top."""
MIDDLES = {"left": 0.18, "middle": 0.5, "right": 0.82}
"""Of the columns, as a fraction of the width from the left."""
SIZES = {"small": 0.135, "large": 0.26}
"""Side of an object, as a fraction of the picture's."""
LIFT = 0.11
"""How high a floating object hangs above its place, as a fraction of the picture's side."""
SHIFT = 0.015
"""Most that an object is moved from the middle of its place, as a fraction of the picture's side."""
FINE = 4
"""Pixels drawn for one pixel shown, each way."""


def draw(scene: Scene, side: int = SIDE) -> Image.Image:
    """Draws a scene in RGB, `side` pixels wide and high; the same scene gives the same pixels."""
    boxes = boxes_of(scene, side)
    image = _ground(scene.ground, side).copy()
    for thing, box in zip(scene.things, boxes, strict=True):
        if thing.shadow != "missing":
            _shade(image, thing, box, side)
    # Nearer objects last, though places are far enough apart that none covers another.
    order = sorted(range(len(boxes)), key=lambda i: boxes[i].y1)
    for i in order:
        sprite = _sprite(scene.things[i], boxes[i].width)
        image.paste(sprite, (boxes[i].x0, boxes[i].y0), sprite)
    return image


def jpeg_of(scene: Scene, side: int = SIDE) -> bytes:
    """Draws a scene as a JPEG file."""
    target = io.BytesIO()
    draw(scene, side).save(target, "JPEG", quality=93, subsampling=0)
    return target.getvalue()


def boxes_of(scene: Scene, side: int = SIDE) -> tuple[Box, ...]:
    """Computes where each object is, in pixels, without drawing."""
    chance = Random(f"shifts:{scene.nuisance}")
    return tuple(_box(thing, side, chance) for thing in scene.things)


def _box(thing: Thing, side: int, chance: Random) -> Box:
    span = round(SIZES[thing.size] * side)
    x = (MIDDLES[thing.column] + chance.uniform(-SHIFT, SHIFT)) * side
    y = (FEET[thing.row] + chance.uniform(-SHIFT, SHIFT)) * side
    y -= LIFT * side if thing.shadow == "floating" else 0
    x0, y0 = round(x - span / 2), round(y - span)
    return Box(x0, y0, x0 + span, y0 + span)


@lru_cache(maxsize=16)
def _ground(kind: str, side: int) -> Image.Image:
    """Paints wall and floor, both lighter towards the upper left."""
    wall, floor = GROUNDS[kind]
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    below = np.clip((y - HORIZON) * side / 3, 0, 1)[..., None]
    light = (1.05 - 0.10 * y - 0.06 * x)[..., None]
    pixels = (np.array(wall, np.float32) * (1 - below) + np.array(floor, np.float32) * below) * light
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _shade(image: Image.Image, thing: Thing, box: Box, side: int) -> None:
    """Darkens the floor: under the object's foot, or below it with a gap if it floats."""
    floating = thing.shadow == "floating"
    across, deep = box.width * (0.42 if floating else 0.56), max(3.0, box.width * (0.09 if floating else 0.13))
    x = (box.x0 + box.x1) / 2 + (0 if floating else box.width * 0.10)
    y = box.y1 + (LIFT * side if floating else -deep * 0.15)
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse((x - across, y - deep, x + across, y + deep), fill=135 if floating else 165)
    mask = mask.filter(ImageFilter.GaussianBlur(max(1.0, side / 128)))
    image.paste((30, 30, 36), (0, 0), mask)


@lru_cache(maxsize=4096)
def _sprite(thing: Thing, span: int) -> Image.Image:
    """Paints the object alone, RGBA, `span` pixels wide and high."""
    fine = span * FINE
    mask = _mask(thing.shape, fine)
    colour = COLOURS[thing.colour]
    paint = Image.new("RGB", (fine, fine), colour)
    if thing.texture != "plain":
        paint.paste(_second(colour), (0, 0), _pattern(thing.texture, fine))
    mask = mask.resize((span, span), Image.Resampling.LANCZOS)
    pixels = np.asarray(paint.resize((span, span), Image.Resampling.LANCZOS), np.float32) * _relief(mask)[..., None]
    sprite = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
    sprite.putalpha(mask)
    return sprite


def _second(colour: Colour) -> Colour:
    """Returns the other colour of a texture: so pale that the object keeps its colour's name."""
    r, g, b = (round(c + (255 - c) * 0.82) for c in colour)
    return r, g, b


def _relief(mask: Image.Image) -> Floats:
    """Returns the brightness of each pixel: edges towards the upper left are lighter, those away from it darker."""
    step = max(1, mask.width // 24)
    soft = mask.filter(ImageFilter.GaussianBlur(step))
    lit = np.asarray(ImageChops.offset(soft, -step, -step), np.float32)
    unlit = np.asarray(ImageChops.offset(soft, step, step), np.float32)
    down = np.linspace(1.04, 0.92, mask.height, dtype=np.float32)[:, None]
    return down * (1 + 0.22 * (lit - unlit) / 255)


def _pattern(texture: str, fine: int) -> Image.Image:
    """Draws where a texture's second colour is."""
    # An object's own size decides the period, so that a texture looks the same on small and large ones.
    y, x = np.mgrid[0:fine, 0:fine] / fine
    if texture == "striped":
        on = ((x + y) * 3.5) % 1 < 0.45
    elif texture == "checkered":
        on = (np.floor(x * 6) + np.floor(y * 6)) % 2 == 0
    else:
        row = np.floor(y * 5)
        across = (x * 5 + 0.5 * (row % 2)) % 1 - 0.5
        on = across**2 + (y * 5 % 1 - 0.5) ** 2 < 0.085
    return Image.fromarray(on.astype(np.uint8) * 255, "L")


def _mask(shape: str, fine: int) -> Image.Image:
    """Returns the object's outline, filled; it touches the lower edge, on which it stands."""
    mask = Image.new("L", (fine, fine), 0)
    pen, far = ImageDraw.Draw(mask), fine - 1
    if shape == "circle":
        pen.ellipse((0, 0, far, far), fill=255)
    elif shape == "ring":
        pen.ellipse((0, 0, far, far), fill=255)
        rim = round(far * 0.24)
        pen.ellipse((rim, rim, far - rim, far - rim), fill=0)
    else:
        pen.polygon([(x * far, y * far) for x, y in _corners(shape)], fill=255)
    return mask


@lru_cache(maxsize=16)
def _corners(shape: str) -> tuple[tuple[float, float], ...]:
    """Returns the corners of a shape in the unit square, y downwards."""
    arm = 0.33
    fixed = {
        "square": ((0.04, 0.04), (0.96, 0.04), (0.96, 1), (0.04, 1)),
        "triangle": ((0.5, 0.04), (1, 1), (0, 1)),
        "cross": (
            *((arm, 0), (1 - arm, 0), (1 - arm, arm), (1, arm), (1, 1 - arm), (1 - arm, 1 - arm)),
            *((1 - arm, 1), (arm, 1), (arm, 1 - arm), (0, 1 - arm), (0, arm), (arm, arm)),
        ),
    }
    if shape in fixed:
        return fixed[shape]
    if shape == "star":
        turns = [(k * pi / 5, 0.56 if k % 2 == 0 else 0.235) for k in range(10)]
        return _fitted([(r * sin(a), -r * cos(a)) for a, r in turns])
    curve = [t * pi / 60 for t in range(120)]
    heart = [(16 * sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t))) for t in curve]
    return _fitted(heart)


def _fitted(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Scales and moves the points into the unit square, keeping proportions, down to its lower edge."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    scale = 1 / max(max(xs) - min(xs), max(ys) - min(ys))
    middle = (max(xs) + min(xs)) / 2
    return tuple((0.5 + (x - middle) * scale, 1 + (y - max(ys)) * scale) for x, y in points)
