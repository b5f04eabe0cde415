"""Rooms, lights and cameras: what a scene is seen in. The plain room is that of the benchmark of generators."""

from collections.abc import Callable
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

SIDE = 224
"""Pixels of a scene's width and height."""
FLOORS = (
    ((222, 226, 232), (178, 180, 186)),
    ((238, 230, 216), (202, 184, 154)),
    ((206, 224, 240), (150, 176, 140)),
    ((228, 218, 226), (168, 150, 162)),
    ((216, 232, 226), (148, 168, 176)),
    ((240, 238, 230), (120, 112, 104)),
)
"""Wall and floor of plain rooms."""
HORIZON = (0.34, 0.46)
"""Where the wall of a plain room meets its floor, as a fraction of the height from the top."""

Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 255."""
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Light:
    """How shadows fall; the defaults are those of plain rooms."""

    slant: float = 0.9
    """Sideways shift of a shadow, over its height on the picture."""
    flat: float = 0.38
    """Height of a shadow, over that of the thing."""
    dark: float = 0.55
    """How much of the floor's light a shadow takes."""
    soft: float = 1.6
    """Radius over which its edge is blurred, pixels."""


PLAIN = Light()


@dataclass(frozen=True, slots=True)
class View:
    """One room with its light and camera."""

    wall: Colour
    floor: Colour
    pattern: str
    """One of `PATTERNS`."""
    horizon: float
    """As `HORIZON`: the higher the camera stands, the higher on the picture."""
    near: float
    """How large things are, over their usual size."""
    light: Light
    warmth: float
    """Of the light's colour: above 0 evening, below 0 a cloudy day."""
    exposure: float
    blur: float
    """Radius by which the camera is out of focus, pixels."""

    def facts(self) -> tuple[str, ...]:
        """Says in words what can be seen of it."""
        return (
            f"{self.pattern} floor",
            "warm light" if self.warmth > 0 else "cold light",
            "hard shadows" if self.light.soft < 1.8 else "soft shadows",
            "camera from above" if self.horizon < 0.33 else "camera near the floor",
            "close by" if self.near > 0.95 else "far away",
            "bright picture" if self.exposure > 1 else "dark picture",
        )


def _plain(u: Floats, w: Floats) -> Floats:
    return np.zeros_like(u)


def _boards(u: Floats, w: Floats) -> Floats:
    return np.where(np.mod(u * 3, 1) < 0.06, -1.6, np.mod(np.floor(u * 3) * 0.618, 1) - 0.5)


def _tiled(u: Floats, w: Floats) -> Floats:
    return np.where((np.mod(u * 2, 1) < 0.06) | (np.mod(w * 2, 1) < 0.06), -1.2, 0.0)


def _chequered(u: Floats, w: Floats) -> Floats:
    return np.mod(np.floor(u * 2) + np.floor(w * 2), 2) - 0.5


def _striped(u: Floats, w: Floats) -> Floats:
    return np.mod(np.floor(w * 4), 2) - 0.5


PATTERNS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "plain": _plain,
    "boarded": _boards,
    "tiled": _tiled,
    "chequered": _chequered,
    "striped": _striped,
}
"""Brightness of a floor by place, of its sides along and across the view, about -1 to 1."""
CONTRAST = 0.12
"""How much of the floor's brightness a pattern changes."""


def plain_room(chance: Random) -> Image.Image:
    """Paints one of six walls and floors."""
    wall, floor = chance.choice(FLOORS)
    return _lit(wall, floor, chance.uniform(*HORIZON), chance)


def drawn_view(chance: Random) -> View:
    """Draws a room with its light and camera."""
    return View(
        wall=_colour(chance, (0.0, 0.3), (0.65, 0.97)),
        floor=_colour(chance, (0.0, 0.4), (0.5, 0.9)),
        pattern=chance.choice(tuple(PATTERNS)),
        horizon=chance.uniform(0.2, 0.5),
        near=chance.uniform(0.75, 1.15),
        light=Light(
            slant=chance.uniform(0.5, 1.4),
            flat=chance.uniform(0.26, 0.5),
            dark=chance.uniform(0.4, 0.7),
            soft=chance.uniform(0.8, 2.8),
        ),
        warmth=chance.uniform(-1, 1),
        exposure=chance.uniform(0.85, 1.15),
        blur=chance.uniform(0, 0.8),
    )


def painted(view: View, chance: Random) -> Image.Image:
    """Paints a view's wall and floor, in perspective."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    # A floor's point at height v below the horizon is as far away as 1 / v; the bound keeps far patterns from flicker.
    away = 1 / np.maximum((y - view.horizon) / (1 - view.horizon), 0.12)
    drawn = PATTERNS[view.pattern]((x - 0.5) * away, away) / np.sqrt(away)
    return _lit(view.wall, view.floor, view.horizon, chance, 1 + CONTRAST * drawn[..., None])


def graded(view: View, image: Image.Image) -> Image.Image:
    """Shows a scene as the view's light and camera do."""
    soft = image.filter(ImageFilter.GaussianBlur(view.blur))
    colour = view.exposure * np.array([1 + 0.07 * view.warmth, 1, 1 - 0.11 * view.warmth], np.float32)
    return Image.fromarray(np.clip(np.asarray(soft, np.float32) * colour, 0, 255).astype(np.uint8))


def _colour(chance: Random, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    red, green, blue = hsv_to_rgb(chance.random(), chance.uniform(*saturation), chance.uniform(*value))
    return 255 * red, 255 * green, 255 * blue


def _lit(wall: Colour, floor: Colour, horizon: float, chance: Random, pattern: Floats | float = 1.0) -> Image.Image:
    """Paints wall and floor under uneven light, with a little grain."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    below = np.clip((y - horizon) * SIDE / 3, 0, 1)[..., None]
    grain = np.random.default_rng(chance.randrange(2**32)).normal(0, 2.5, (SIDE, SIDE, 1))
    light = (1.05 - 0.12 * np.abs(x - chance.random()) - 0.05 * y)[..., None]
    ground = np.array(floor, np.float32) * pattern
    pixels = (np.array(wall, np.float32) * (1 - below) + ground * below) * light + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
