"""Sentences from phrases, and phrases from sentences."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from autointerp.lmm.local.visual import PROPERTIES

_FILLER = re.compile(
    r"\b(the|a|an|this|that|these|those|it|its|of|in|on|with|and|or|such|as|is|are|has|have|which|where|mostly|often"
    r"|feature|fires?|region|regions|area|areas|part|parts|image|images|picture|pictures|depicting|depicts?|showing"
    r"|shows?|shown|containing|contains?|things?|something|shape|shapes|shaped|objects?|items?|colour|color|coloured"
    r"|colored|colours|colors|background|plain|tones?|areas|several|one|drawn|like|by|for|at|to|from"
    r"|all|kinds?|whatever|they|else)\b"
)
_SEAM = re.compile(r"[,;:.()]|\b(?:or|and|such as|like|including|e\.g)\b")
WHOLE_OR_PART = ", whole or in part"
_FRAME = re.compile(
    r"^\s*(the (region|regions|image|images|picture|pictures|crop|crops)( that fires?)?|(regions|images|pictures) that"
    r"|it|this( feature)?( fires on)?)?\s*(shows?|depicts?|contains?|represents?|pictures? of|images? of|presence of)"
    r"\s+",
    re.IGNORECASE,
)


def _words_for_looks() -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for i, prop in enumerate(PROPERTIES):
        for words in {prop.phrase, prop.modifier, *prop.words}:
            places.setdefault(words, []).append(i)
    return places


_LOOKS = _words_for_looks()
"""Words for looks, with the places in PROPERTIES of what they mean."""


def sentence(phrase: str, modifier: str | None, examples: Sequence[str]) -> str:
    """6 to 20 words: `Pictures of birds, such as ducks or geese, often in white`."""
    text = f"Pictures of {phrase}"
    if examples:
        text += f", such as {' or '.join(examples)}"
    if modifier:
        return f"{text}, often {modifier}"
    return text if examples else f"{text}{WHOLE_OR_PART}"


def sentence_of_two(phrase: str, other: str) -> str:
    """For features with two meanings."""
    return f"Pictures of {phrase}, or else of {other}"


def sentence_of_looks(phrase: str) -> str:
    """For features that have no kind of thing in common: `Round shapes of all kinds, whatever they show`."""
    return f"{phrase[0].upper()}{phrase[1:]} of all kinds, whatever they show"


class Parsed(NamedTuple):
    """An explanation as the judge understands it."""

    meaning: str | None
    """Its words about things; None where it speaks of nothing but looks."""
    head: str
    """The first phrase of its words about things, without filler; mostly what it is about."""
    properties: tuple[int, ...]
    """Places in PROPERTIES of the looks that it names; alternatives of one word are all there."""


def parse(explanation: str) -> Parsed:
    """Splits any text into what it says of things and what it says of looks."""
    text = _FRAME.sub("", explanation.strip()).strip(" .").removesuffix(WHOLE_OR_PART) or explanation
    rest = text.lower()
    found: set[int] = set()
    # Longest first, so that "black line drawings" is not taken for something black.
    for words, places in sorted(_LOOKS.items(), key=lambda item: -len(item[0])):
        shorter = re.sub(rf"(?<![\w-]){re.escape(words)}(?![\w-])", " ", rest)
        if shorter != rest:
            rest = shorter
            found.update(places)
    left = _FILLER.sub(" ", rest)
    has_things = re.search(r"[^\W\d_]{3,}", left) is not None
    if not has_things:
        return Parsed(None, "", tuple(sorted(found)))
    return Parsed(text, _head(rest), tuple(sorted(found)))


def _head(text: str) -> str:
    pieces = (re.sub(r"\s+", " ", _FILLER.sub(" ", piece)).strip() for piece in _SEAM.split(text))
    return next((piece for piece in pieces if re.search(r"[^\W\d_]{3,}", piece)), text)
