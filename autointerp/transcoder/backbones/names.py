"""Names of backbones: what may follow them, and what it means on the command line and in files."""

import re
from typing import NamedTuple

from autointerp.transcoder.settings import SOURCES

RANDOM = ":random"
"""After a name: the same architecture with fresh weights, as a control."""
CROP, STRETCH = ":crop", ":stretch"
"""After a name: cropped to the middle as the model's own preprocessing has it, or stretched so that all is seen."""


_OPEN_CLIP = re.compile(r"open[-_]clip:(?:hf-hub:)?")
"""Before a name: open_clip's models lie on the hub in transformers' form too."""


class Asked(NamedTuple):
    """What a name asks for."""

    base: str
    """The name without what follows."""
    crop: bool | None
    """None where the name does not say."""
    random: bool


def parsed(name: str) -> Asked:
    """Takes a name apart; what follows the base may stand in any order."""
    base, crop, random = name, None, False
    while (end := next((e for e in (RANDOM, CROP, STRETCH) if base.endswith(e)), None)) is not None:
        base = base.removesuffix(end)
        random, crop = (True, crop) if end == RANDOM else (random, end == CROP)
    return Asked(base, crop, random)


def typed_backbone(name: str) -> str:
    """Returns the name that files state of a model that somebody types: without a word, it crops as its own does.

    In files a name without `:crop` is that of a model that is shown whole pictures, as all were before there was one.
    """
    asked = parsed(name)
    if (theirs := _OPEN_CLIP.match(asked.base)) is not None:
        asked = asked._replace(base=f"hf:{asked.base[theirs.end() :]}")
    crops = asked.crop is not False and asked.base.partition(":")[0] in SOURCES
    return name_of(asked.base, crop=crops, random=asked.random)


def name_of(base: str, *, crop: bool, random: bool) -> str:
    """Puts a name together."""
    return f"{base}{CROP if crop else ''}{RANDOM if random else ''}"
