"""Concepts over scenes: boolean expressions of known truth, each with its words and the attributes it touches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from autointerp.synthetic.scenes import VALUES, Scene, Scenes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

KINDS = ("shape", "colour", "size", "position", "count", "texture", "shadow", "conjunction", "disjunction")
"""What a concept may touch."""
_KIND = {"column": "position", "row": "position"}

CLOSE = (
    ("circle", "ring"),
    ("circle", "heart"),
    ("square", "triangle"),
    ("cross", "star"),
    ("red", "orange"),
    ("red", "pink"),
    ("orange", "yellow"),
    ("pink", "purple"),
    ("purple", "blue"),
    ("blue", "black"),
    ("blue", "green"),
    ("left", "middle"),
    ("middle", "right"),
    ("striped", "checkered"),
    ("dotted", "checkered"),
    ("striped", "dotted"),
    ("floating", "missing"),
)
"""Values that are more alike than others of their attribute."""
HALF = 0.5
"""Likeness of close values, and of counts that differ by one."""


@dataclass(frozen=True, slots=True)
class Has:
    """Says that there is an object with all these values."""

    values: tuple[tuple[str, str], ...]
    """(attribute, value), each attribute at most once."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Says that there are exactly so many objects."""

    n: int


@dataclass(frozen=True, slots=True)
class Both:
    """Says that two things hold."""

    first: "Expression"
    second: "Expression"


@dataclass(frozen=True, slots=True)
class Either:
    """Says that at least one of two things holds."""

    first: "Expression"
    second: "Expression"


Expression = Has | Counts | Both | Either


@dataclass(frozen=True, slots=True)
class Concept:
    """An expression and its words."""

    text: str
    """As an explanation would say it."""
    truth: Expression

    @property
    def kinds(self) -> tuple[str, ...]:
        """Returns those of `KINDS` that it touches, in their order."""
        touched = _kinds(self.truth)
        return tuple(kind for kind in KINDS if kind in touched)


def _kinds(truth: Expression) -> set[str]:
    if isinstance(truth, Has):
        own = {_KIND.get(name, name) for name, _ in truth.values}
        return own | {"conjunction"} if len(own) > 1 else own
    if isinstance(truth, Counts):
        return {"count"}
    joint = "conjunction" if isinstance(truth, Both) else "disjunction"
    return _kinds(truth.first) | _kinds(truth.second) | {joint}


def holds_all(concept: Concept, scenes: Scenes) -> Bools:
    """Says of each scene whether the concept is true of it; shape [n]."""
    return _all_true(concept.truth, scenes)


def _all_true(truth: Expression, scenes: Scenes) -> Bools:
    if isinstance(truth, Has):
        return np.any(fitting(truth, scenes), axis=1)
    if isinstance(truth, Counts):
        return scenes.count == truth.n
    first, second = _all_true(truth.first, scenes), _all_true(truth.second, scenes)
    return first & second if isinstance(truth, Both) else first | second


def fitting(truth: Has, scenes: Scenes) -> Bools:
    """Says which objects have all the values; shape [n, 4]."""
    return np.all([scenes.codes[name] == VALUES[name].index(value) for name, value in truth.values], axis=0)


def likeness(concept: Concept, scenes: Scenes) -> Floats:
    """Computes how near each scene comes to the concept, 0 to 1, and 1 exactly where it holds; shape [n].

    Of an object's required values the share that is met, close values counting half; of two things that must both
    hold, the mean; of two of which one must hold, the larger.
    """
    return _near(concept.truth, scenes)


def _near(truth: Expression, scenes: Scenes) -> Floats:
    if isinstance(truth, Has):
        met = [_closeness(name, value)[scenes.codes[name]] for name, value in truth.values]
        return np.max(np.mean(met, axis=0), axis=1)
    if isinstance(truth, Counts):
        off = np.abs(scenes.count - truth.n)
        return np.select([off == 0, off == 1], [1.0, HALF], 0.0)
    first, second = _near(truth.first, scenes), _near(truth.second, scenes)
    return (first + second) / 2 if isinstance(truth, Both) else np.maximum(first, second)


def _closeness(name: str, value: str) -> Floats:
    """Returns the likeness of each value of an attribute to one of them; a last 0 stands for no object (code -1)."""
    values = VALUES[name]
    close = [1.0 if v == value else HALF if (v, value) in CLOSE or (value, v) in CLOSE else 0.0 for v in values]
    return np.array([*close, 0.0])


def meant(concept: Concept, scene: Scene) -> tuple[int, ...]:
    """Returns the objects that make it true, by index; all where their number does, none where it is not true."""
    return tuple(sorted(_meant(concept.truth, scene)))


def _meant(truth: Expression, scene: Scene) -> set[int]:
    if isinstance(truth, Counts):
        return set(range(truth.n)) if len(scene.things) == truth.n else set()
    if isinstance(truth, Has):
        return {i for i, t in enumerate(scene.things) if all(getattr(t, name) == v for name, v in truth.values)}
    first, second = _meant(truth.first, scene), _meant(truth.second, scene)
    return first | second if isinstance(truth, Either) or (first and second) else set()


def in_covering_order(concepts: Iterable[Concept], seed: int) -> tuple[Concept, ...]:
    """Orders the concepts so that the first few already touch every kind, each about as often."""
    left = list(concepts)
    seen: dict[str, int] = dict.fromkeys(KINDS, 0)
    Random(f"concepts:{seed}").shuffle(left)
    out: list[Concept] = []
    while left:
        best = min(left, key=lambda c: min(seen[kind] for kind in c.kinds))
        left.remove(best)
        out.append(best)
        for kind in best.kinds:
            seen[kind] += 1
    return tuple(out)


def _has(**values: str) -> Has:
    return Has(tuple(values.items()))


def _named(rows: Sequence[tuple[str, Expression]]) -> tuple[Concept, ...]:
    return tuple(Concept(text, truth) for text, truth in rows)


CONCEPTS = _named(
    (
        ("a star", _has(shape="star")),
        ("a heart", _has(shape="heart")),
        ("a pink object", _has(colour="pink")),
        ("an orange object", _has(colour="orange")),
        ("a striped object", _has(texture="striped")),
        ("a dotted object", _has(texture="dotted")),
        ("a checkered object", _has(texture="checkered")),
        ("a floating object whose shadow is detached from it", _has(shadow="floating")),
        ("an object that casts no shadow at all", _has(shadow="missing")),
        ("exactly three objects", Counts(3)),
        ("exactly four objects", Counts(4)),
        ("an object in the top left of the picture", _has(row="top", column="left")),
        ("a red circle", _has(colour="red", shape="circle")),
        ("a blue square", _has(colour="blue", shape="square")),
        ("a yellow triangle", _has(colour="yellow", shape="triangle")),
        ("a black cross or an orange heart", Either(
            _has(colour="black", shape="cross"), _has(colour="orange", shape="heart"))),
        ("a small heart", _has(size="small", shape="heart")),
        ("a large ring", _has(size="large", shape="ring")),
        ("a blue object in the top right of the picture", _has(colour="blue", row="top", column="right")),
        ("a red striped object", _has(colour="red", texture="striped")),
        ("a dotted circle", _has(texture="dotted", shape="circle")),
        ("a checkered object on the right of the picture", _has(texture="checkered", column="right")),
        ("exactly four objects, or a ring that floats above its detached shadow", Either(
            Counts(4), _has(shadow="floating", shape="ring"))),
        ("a floating circle whose shadow is detached from it", _has(shadow="floating", shape="circle")),
        ("a square that casts no shadow at all", _has(shadow="missing", shape="square")),
        ("a red circle together with a blue square", Both(
            _has(colour="red", shape="circle"), _has(colour="blue", shape="square"))),
        ("exactly three objects, at least one of them a ring", Both(Counts(3), _has(shape="ring"))),
        ("exactly four objects, at least one of them pink", Both(Counts(4), _has(colour="pink"))),
        ("a purple star or a pink heart", Either(
            _has(colour="purple", shape="star"), _has(colour="pink", shape="heart"))),
        ("a yellow cross or a green ring", Either(
            _has(colour="yellow", shape="cross"), _has(colour="green", shape="ring"))),
        ("a striped ring or a floating square whose shadow is detached from it", Either(
            _has(texture="striped", shape="ring"), _has(shadow="floating", shape="square"))),
        ("a large star on the left or a small heart on the right of the picture", Either(
            _has(size="large", shape="star", column="left"), _has(size="small", shape="heart", column="right"))),
        ("a small green star on the left of the picture", _has(
            size="small", colour="green", shape="star", column="left")),
        ("a large red floating triangle whose shadow is detached from it", _has(
            size="large", colour="red", shadow="floating", shape="triangle")),
        ("an orange striped triangle", _has(colour="orange", texture="striped", shape="triangle")),
        ("a small purple star in the upper half of the picture", _has(
            size="small", colour="purple", shape="star", row="top")),
    )
)  # fmt: skip
"""What calibration plants: every kind several times, firing on some 10 % to 0.1 % of the scenes."""
