"""Features of known meaning and rate, each with explanations of known quality."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autointerp.synthetic.scenes import VALUES
from benchmarks.truth.world import GENERIC, Bools, Candidate, Concept, Floats, Term, World

RATES = (0.1, 0.03, 0.01, 0.003, 0.001)
"""Shares of the images on which the features fire."""
TOLERANCE = 1.35
"""A concept serves for a rate if its own is at most so many times off."""
FORMS = ("term", "term", "disjunction")
"""In turn."""
KINDS = ("true", "missing_half", "extra_alike", "extra_unrelated", "parent", "sibling", "generic", "wrong")
"""Explanations of each feature."""
AGAIN = "reworded"
"""The true one once more, which a judge answers anew: how often it scores lower than the first is chance alone."""


@dataclass(frozen=True)
class Planted:
    """A feature that fires exactly where a concept is true."""

    number: int
    rate: float
    """The one aimed at, of `RATES`."""
    concept: Concept
    explanations: dict[str, Concept]
    """By kind, in the order of `KINDS`, and `AGAIN`."""
    world: World

    @cached_property
    def fires(self) -> Bools:
        """Shape [n]."""
        return self.world.true_of(self.concept)

    @cached_property
    def activation(self) -> Floats:
        """Above 1 exactly where it fires, and graded there; shape [n]."""
        chance = np.random.default_rng((0xAC7, self.world.seed, self.number))
        return np.where(
            self.fires, 1.25 + chance.gamma(2.0, 1.0, len(self.world)), 0.5 * chance.random(len(self.world))
        )


def words(concept: Concept) -> str:
    """An explanation's text."""
    if concept == GENERIC:
        return "an image"
    terms = sorted(" ".join(value for _, value in sorted(term)) for term in concept)
    return "; or ".join(f"an object: {term}" for term in terms)


def f1(fires: Bools, said: Floats | Bools) -> float:
    """F1 of beliefs in [0, 1] with a feature over the whole population."""
    both, total = float(np.sum(said[fires])), float(fires.sum() + said.sum())
    return 2 * both / total if total else 0.0


def iou(fires: Bools, said: Bools) -> float:
    """Intersection over union."""
    return float(np.sum(fires & said) / max(1, np.sum(fires | said)))


def plant_all(world: World, n: int) -> list[Planted]:
    """`n` features: rates in turn, two of one term for each of two terms, no concept twice where enough exist."""
    chance = np.random.default_rng((0xF3A7, world.seed))
    out: list[Planted] = []
    used: set[Concept] = set()
    while len(out) < n:
        number = len(out)
        rate, form = RATES[number % len(RATES)], FORMS[number // len(RATES) % len(FORMS)]
        concept = _concept(world, rate, form, chance)
        for _ in range(50):
            if concept not in used:
                break
            concept = _concept(world, rate, form, chance)
        used.add(concept)
        out.append(Planted(number, rate, concept, _explanations(world, concept, rate, chance), world))
    return out


def _concept(world: World, rate: float, form: str, chance: np.random.Generator) -> Concept:
    if form == "term":
        return frozenset([_near_rate(world, rate, chance)])
    first = _near_rate(world, rate / 2, chance)
    return frozenset([first, _near_rate(world, rate / 2, chance, apart_from=first)])


def _near_rate(
    world: World, rate: float, chance: np.random.Generator, *, apart_from: Iterable[tuple[str, str]] = ()
) -> Term:
    """A term of about that rate, drawn at random, that shares no value with some others."""
    others = set(apart_from)
    fit = [c.term for c in _around(world, rate) if not c.term & others]
    return fit[int(chance.integers(len(fit)))]


def _around(world: World, rate: float) -> list[Candidate]:
    tolerance = TOLERANCE
    while not (out := [c for c in world.candidates if rate / tolerance <= c.rate <= rate * tolerance]):
        tolerance *= 1.2
    return out


def _explanations(world: World, concept: Concept, rate: float, chance: np.random.Generator) -> dict[str, Concept]:
    touched = frozenset().union(*concept)
    sibling = frozenset(_sibling(world, term, concept) for term in sorted(concept, key=sorted))
    unrelated = frozenset([_near_rate(world, rate, chance, apart_from=touched)])
    wrong = frozenset([_near_rate(world, rate, chance, apart_from=touched)])
    out = {
        "true": concept,
        "missing_half": _half(world, concept),
        "extra_alike": concept | sibling,
        "extra_unrelated": concept | unrelated,
        "parent": frozenset(_parent(term) for term in concept) if _deep(concept) else _wider(world, concept),
        "sibling": sibling,
        "generic": GENERIC,
        "wrong": wrong,
        AGAIN: concept,
    }
    assert tuple(out) == (*KINDS, AGAIN)
    return out


def _deep(concept: Concept) -> bool:
    return all(len(term) > 1 for term in concept)


def _parent(term: Term) -> Term:
    """The term without its last attribute in alphabetical order."""
    return frozenset(sorted(term)[:-1])


def _wider(world: World, concept: Concept) -> Concept:
    """With all further values of an attribute that have come closest in frequency: the nearest thing to a parent."""
    out = concept
    for term in sorted(concept, key=sorted):
        out |= {_sibling(world, term, out)}
        out |= {_sibling(world, term, out)}
    return out


def _sibling(world: World, term: Term, taken: Concept) -> Term:
    """The term with one value changed, of those not taken the nearest to it in frequency."""
    rate = float(world.true_of(frozenset([term])).mean())
    options: list[tuple[float, Term]] = []
    for name, value in sorted(term):
        for other in VALUES[name]:
            changed = (term - {(name, value)}) | {(name, other)}
            if other != value and changed not in taken:
                share = float(world.true_of(frozenset([changed])).mean())
                options.append((abs(np.log(max(share, 1e-6) / rate)), changed))
    return min(options, key=lambda o: (o[0], sorted(o[1])))[1]


def _half(world: World, concept: Concept) -> Concept:
    """One of two terms; of a single one the part that some further value cuts nearest to half."""
    if len(concept) > 1:
        return frozenset([min(concept, key=sorted)])
    (term,) = concept
    whole = float(world.true_of(concept).sum())
    free = [(a, v) for a in VALUES for v in VALUES[a] if a not in dict(term)]
    cut = [frozenset([term | {key}]) for key in free]
    return min(cut, key=lambda c: abs(float(world.true_of(c).sum()) / whole - 0.5))
