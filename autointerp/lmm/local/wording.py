"""Sentences from phrases, and phrases from sentences."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from autointerp.lmm.local.visual import PROPERTIES

_FILLER = re.compile(
    r"\b(the|a|an|this|that|these|those|it|its|of|in|on|with|and|or|such|as|is|are|has|have|which|where|mostly|often"
    r"|feature|fires?|region|regions|area|areas|part|parts|image|images|picture|pictures|depicting|depicts?|showing"
    r"|shows?|shown|containing|contains?|things?|something|shape|shapes|shaped|objects?|items?|colour|color|coloured"
    r"|colored|colours|colors|background|plain|tones?|areas|several|one|drawn|like|by|for|at|to|from)\b"
)
_FRAME = re.compile(
    r"^\s*(the (region|regions|image|images|picture|pictures|crop|crops)( that fires?)?|(regions|images|pictures) that"
    r"|it|this( feature)?( fires on)?)?\s*(shows?|depicts?|contains?|represents?|pictures? of|images? of|presence of)"
    r"\s+",
    re.IGNORECASE,
)


def sentence(phrase: str, modifier: str | None, examples: Sequence[str]) -> str:
    """6 to 20 words: `The region shows birds, such as ducks or geese, in white`."""
    text = f"The region that fires shows {phrase}"
    if examples:
        text += f", such as {' or '.join(examples)}"
        return f"{text}, {modifier}" if modifier else text
    return f"{text} {modifier}" if modifier else text


class Parsed(NamedTuple):
    """An explanation as the judge understands it."""

    meaning: str | None
    """Its words about things; None where it speaks of nothing but looks."""
    properties: tuple[int, ...]
    """Places in PROPERTIES of the looks that it names; alternatives of one word are all there."""


def parse(explanation: str) -> Parsed:
    """Splits any text into what it says of things and what it says of looks."""
    text = _FRAME.sub("", explanation.strip()).strip(" .") or explanation
    rest = text.lower()
    found: list[int] = []
    for i, prop in enumerate(PROPERTIES):
        own = (prop.phrase, prop.modifier, *prop.words)
        for words in sorted(own, key=len, reverse=True):
            pattern = rf"(?<![\w-]){re.escape(words)}(?![\w-])"
            if re.search(pattern, text.lower()):
                found.append(i)
                rest = re.sub(pattern, " ", rest)
                break
    left = _FILLER.sub(" ", rest)
    has_things = re.search(r"[^\W\d_]{3,}", left) is not None
    return Parsed(text if has_things else None, tuple(found))
