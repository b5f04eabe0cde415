"""Planted latents of rendered scenes, and for each one texts that are right about it or wrong in a known way.

| family | fires | at |
|---|---|---|
| single, either, place | where an object of one colour is, of one of two, or of one in a part of the picture | it |
| together | where an object of one colour is, if one of another is anywhere | the first object |
| displaced | if an object of one colour, or of one of two, is anywhere | the lower right corner, whatever is there |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from autointerp.synthetic.concepts import Both, Concept, Counts, Either, Expression, Has

KINDS = ("true", "half", "too broad", "too narrow", "wrong", "generic")
"""Of explanations; a half is of latents with two meanings alone."""
PLACES = {
    "left": (("column", "left"), "on the left of the picture"),
    "right": (("column", "right"), "on the right of the picture"),
    "top": (("row", "top"), "in the upper half of the picture"),
}
"""The value of an object, and the words, of each part of the picture that a latent may look at."""
GENERIC = Concept("an object", reduce(Either, (Counts(n) for n in range(1, 5))))


@dataclass(frozen=True, slots=True)
class Planted:
    """One latent."""

    family: str
    colours: tuple[str, ...]
    """It fires on any of them; of `together` on the first beside the second."""
    broader: str
    """The colour that the too broad text adds, where it does not leave something out."""
    narrower: str
    """The shape or size that the too narrow text adds, which the latent does not look at."""
    wrong: Concept
    place: str = ""

    @property
    def texts(self) -> Mapping[str, Concept]:
        """Returns the texts by kind."""
        own, first, narrow = self.colours, self.colours[0], self.narrower
        if self.family == "together":
            other = self.colours[1]
            out = {
                "true": _together(_one(first), _one(other)),
                "too broad": _one(first),
                "too narrow": _together(_one(first, narrow), _one(other)),
            }
        elif self.place:
            out = {
                "true": _one(first, place=self.place),
                "too broad": _one(first),
                "too narrow": _one(first, narrow, self.place),
            }
        else:
            out = {
                "true": _any(own),
                "too broad": _any((*own, self.broader)),
                "too narrow": _any(own, narrow),
            }
        half = {"half": _one(first)} if len(own) > 1 and self.family != "together" else {}
        return out | half | {"wrong": self.wrong, "generic": GENERIC}


def _one(colour: str, narrower: str = "", place: str = "") -> Concept:
    """An object of a colour, perhaps of a shape or size, perhaps in a part of the picture."""
    values = [("colour", colour)]
    size, shape = ("", narrower or "object") if narrower not in ("small", "large") else (f"{narrower} ", "object")
    if narrower:
        values.append(("size" if size else "shape", narrower))
    where = ""
    if place:
        values.append(PLACES[place][0])
        where = f" {PLACES[place][1]}"
    words = f"{size}{colour} {shape}"
    return Concept(f"{'an' if words[0] in 'aeiou' else 'a'} {words}{where}", Has(tuple(values)))


def _any(colours: tuple[str, ...], narrower: str = "") -> Concept:
    each = [_one(colour, narrower) for colour in colours]
    truth: Expression = reduce(Either, (c.truth for c in each))
    return Concept(" or ".join(c.text for c in each), truth)


def _together(first: Concept, second: Concept) -> Concept:
    return Concept(f"{first.text} together with {second.text}", Both(first.truth, second.truth))


def _shape(name: str) -> Concept:
    return Concept(f"a {name}", Has((("shape", name),)))


LATENTS = (
    Planted("single", ("red",), "orange", "circle", _one("yellow", place="left")),
    Planted("single", ("green",), "black", "large", _shape("heart")),
    Planted("single", ("pink",), "purple", "square", _one("orange")),
    Planted("single", ("orange",), "green", "small", _one("blue", place="top")),
    Planted("either", ("black", "orange"), "yellow", "square", _one("pink")),
    Planted("either", ("pink", "purple"), "black", "large", _shape("ring")),
    Planted("either", ("purple", "green"), "red", "circle", _one("black")),
    Planted("either", ("orange", "yellow"), "pink", "triangle", _one("blue")),
    Planted("either", ("blue", "pink"), "orange", "small", _shape("cross")),
    Planted("either", ("yellow", "black"), "purple", "circle", _one("red")),
    Planted("place", ("yellow",), "", "square", _one("red", place="right"), "left"),
    Planted("place", ("blue",), "", "large", _shape("star"), "right"),
    Planted("place", ("red",), "", "small", _one("black"), "top"),
    Planted("place", ("black",), "", "circle", _one("green"), "left"),
    Planted("together", ("red", "blue"), "", "circle", _one("purple")),
    Planted("together", ("green", "yellow"), "", "large", _shape("cross")),
    Planted("together", ("blue", "black"), "", "triangle", _one("pink")),
    Planted("displaced", ("purple",), "blue", "circle", _one("red", place="top")),
    Planted("displaced", ("black",), "pink", "large", _one("orange")),
    Planted("displaced", ("pink", "orange"), "purple", "square", _one("yellow", place="left")),
    Planted("displaced", ("purple", "pink"), "red", "small", _shape("triangle")),
)
