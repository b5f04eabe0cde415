"""Features of known rate, each in a population of its own: what fires it, what comes near, and everything else."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.truth.looking.things import FRAMING, HUES, TEXTURES, Bools, Concept, Floats, Ints, Things, fits

KINDS = ("part", "object", "place", "colour", "texture")
RATES = (0.1, 0.01, 0.001)
SIDES = (0.15, 0.25, 0.40)
"""Of a thing, as a share of the picture's side."""
PLACEMENTS = ("anywhere", "centred")
NEAR = 4
"""Pictures that come near, for each one that fires the feature: what is too broad has a precision of 1/5."""
DOTTED = 0.3
"""Of the things for which it makes no difference, the share that has a dot."""
SECOND = 0.5
"""The share of the pictures in which a second thing is tried; it is left out where it would touch the first."""
TEXTS = ("true", "half", "too broad", "place", "close-up", "an image", "blank")
"""The explanations of each feature, the last four the same for all."""
APART = 0.06
"""The least gap between two things, as a share of the picture's side."""


@dataclass(frozen=True)
class World:
    """What all features of a table share."""

    n: int
    """Pictures in the population of each feature."""
    side: float
    placement: str
    seed: int
    scale: int = 1
    """How many times larger the pictures are than `SIDES` of pixels."""


@dataclass(frozen=True)
class Planted:
    """A feature with its population and its explanations."""

    world: World
    kind: str
    rate: float
    number: int
    concept: Concept
    half: Concept
    broad: Concept
    things: Things

    @cached_property
    def fires(self) -> Bools:
        """Shape [n]."""
        return self.concept.of(self.things).any(axis=1)

    @cached_property
    def activation(self) -> Floats:
        """Above 1 exactly where it fires; higher where it comes near than elsewhere; shape [n]."""
        chance = np.random.default_rng((0x0AC7, self.number))
        near = self.broad.of(self.things).any(axis=1)
        silent = np.where(near, 0.5, 0.1) + 0.4 * chance.random(len(near))
        return np.where(self.fires, 1.25 + chance.gamma(2.0, 1.0, len(near)), silent)

    @cached_property
    def embedding(self) -> Floats:
        """What is in each picture, hardly bound together, with noise, of unit length; shape [n, 16]."""
        t, chance = self.things, np.random.default_rng((0xE3B, self.number))
        parts = [t.there & (t.hue == h) for h in range(len(HUES))]
        parts += [t.there & (t.texture == k) for k in range(len(TEXTURES))]
        parts += [t.there & (t.dot == d) for d in (1, 2)]
        parts += [t.there & (t.x < 1 / 3), t.there & (t.x > 2 / 3), t.there & (t.y < 1 / 3), t.there & (t.y > 2 / 3)]
        counts = np.stack([p.sum(axis=1) for p in parts], axis=1) + 0.25 * chance.standard_normal((len(t.there), 16))
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    @property
    def texts(self) -> dict[str, str]:
        """The text of each kind of explanation, in the order of `TEXTS`."""
        own = (self.concept.text, self.half.text, self.broad.text)
        return dict(zip(TEXTS, (*own, *FRAMING), strict=True))

    @property
    def concepts(self) -> dict[str, Concept]:
        """What the texts of its own mean."""
        return {c.text: c for c in (self.concept, self.half, self.broad)}

    def extension(self, text: str) -> Bools:
        """The pictures that a text holds for; shape [n]."""
        return fits(text, self.concepts, self.things)

    def region(self, image: int) -> tuple[float, float, float]:
        """Middle and side of what the feature looks at in a picture, as shares of its sides.

        It is the dot of a feature of a part. On a silent picture it is what comes nearest to the concept.
        """
        row = Things(**{name: column[image : image + 1] for name, column in vars(self.things).items()})
        for concept in (self.concept, self.broad, Concept()):
            meant = concept.of(row)[0]
            if meant.any():
                break
        at = int(np.argmax(meant))
        side = float(row.side[0, at])
        return float(row.x[0, at]), float(row.y[0, at]), side / 3 if self.kind == "part" else side


def plant(world: World, kind: str, rate: float, number: int) -> Planted:
    """A feature of a kind that fires on a share of the pictures, to the picture."""
    chance = np.random.default_rng(
        (0x100C, world.seed, number, int(world.side * 100), PLACEMENTS.index(world.placement))
    )
    n_fire = round(rate * world.n)
    # The role of the first thing: fires it by one half of the concept, by the other, comes near, or has nothing to do.
    role = np.repeat([0, 1, 2, 3], [n_fire // 2, n_fire - n_fire // 2, NEAR * n_fire, world.n - (1 + NEAR) * n_fire])
    chance.shuffle(role)
    hues = chance.permutation(len(HUES))
    things = _others(world, kind, hues, chance)
    concept, half, broad = _meanings(world, kind, hues, things, role, chance)
    _place(world, kind, things, role, chance)
    return Planted(world, kind, rate, number, concept, half, broad, things)


def _others(world: World, kind: str, hues: Ints, chance: np.random.Generator) -> Things:
    """Things that have nothing to do with the feature, in all pictures."""
    shape = (world.n, 2)
    free = hues if kind == "texture" else hues[4:]
    return Things(
        there=np.ones(shape, bool),
        hue=chance.choice(free, shape),
        texture=np.zeros(shape, np.int64) if kind == "texture" else chance.integers(len(TEXTURES), size=shape),
        dot=np.where(chance.random(shape) < DOTTED, chance.integers(1, 3, size=shape), 0),
        x=np.zeros(shape),
        y=np.zeros(shape),
        side=np.full(shape, world.side),
    )


def _meanings(
    world: World, kind: str, hues: Ints, things: Things, role: Ints, chance: np.random.Generator
) -> tuple[Concept, Concept, Concept]:
    """Gives the first things the looks of their roles; returns the concept, its half and what is too broad."""
    one, other, near = role == 0, role == 1, role == 2
    a, b, c, d = (int(h) for h in hues[:4])
    pair, n = frozenset((a, b)), len(role)
    either = np.where(chance.random(n) < 0.5, a, b)
    if kind == "colour":
        things.hue[:, 0] = np.select([one, other, near], [a, b, np.where(either == a, c, d)], things.hue[:, 0])
        return Concept(pair), Concept(frozenset((a,))), Concept(frozenset((a, b, c, d)))
    if kind == "texture":
        bands = np.select([one, other, near], [1, 2, 3], 0)
        things.texture[:, 0] = bands
        return (
            Concept(textures=frozenset((1, 2))),
            Concept(textures=frozenset((1,))),
            Concept(textures=frozenset((1, 2, 3))),
        )
    things.hue[:, 0] = np.select([one, other, near], [a, b, either], things.hue[:, 0])
    if kind == "part":
        things.hue[:, 0] = np.where(role < 3, a, things.hue[:, 0])
        things.dot[:, 0] = np.select([one, other, near], [1, 2, 0], things.dot[:, 0])
        own = frozenset((a,))
        return Concept(own, dots=frozenset((1, 2))), Concept(own, dots=frozenset((1,))), Concept(own)
    if kind == "place":
        zone = "in the left third of the picture" if world.placement == "anywhere" else "in the middle of the picture"
        return Concept(pair, zone=zone), Concept(frozenset((a,)), zone=zone), Concept(pair)
    texture = int(chance.integers(len(TEXTURES)))
    others = [t for t in range(len(TEXTURES)) if t != texture]
    things.texture[:, 0] = np.select([one | other, near], [texture, chance.choice(others, n)], things.texture[:, 0])
    own = frozenset((texture,))
    return Concept(pair, own), Concept(frozenset((a,)), own), Concept(pair)


def _place(world: World, kind: str, things: Things, role: Ints, chance: np.random.Generator) -> None:
    """Puts the first thing where the world or the feature wants it, the second anywhere beside it."""
    low, high, n = world.side / 2 + 0.01, 1 - world.side / 2 - 0.01, world.n
    x, y = chance.uniform(low, high, (2, n))
    if world.placement == "centred":
        x, y = np.clip(0.5 + 0.05 * chance.standard_normal((2, n)), max(low, 0.35), min(high, 0.65))
    if kind == "place":
        x, y = _where_it_counts(world, role, x, y, low, high, chance)
    things.x[:, 0], things.y[:, 0] = x, y
    things.x[:, 1], things.y[:, 1] = chance.uniform(low, high, (2, n))
    far = np.maximum(abs(things.x[:, 0] - things.x[:, 1]), abs(things.y[:, 0] - things.y[:, 1]))
    things.there[:, 1] = (far > world.side + APART) & (chance.random(n) < SECOND)


def _where_it_counts(
    world: World, role: Ints, x: Floats, y: Floats, low: float, high: float, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """Places inside the zone where the feature fires, outside of it where it comes near."""
    fires, near, n = role < 2, role == 2, len(role)
    if world.placement == "anywhere":
        inside, outside = chance.uniform(low, 0.33, n), chance.uniform(0.34, high, n)
        return np.select([fires, near], [inside, outside], x), y
    # Away from the middle on one axis, anywhere on the other.
    shift = np.where(chance.random(n) < 0.5, chance.uniform(low, 0.33, n), chance.uniform(0.67, high, n))
    free, on_x = chance.uniform(low, high, n), chance.random(n) < 0.5
    return np.where(near, np.where(on_x, shift, free), x), np.where(near, np.where(on_x, free, shift), y)
