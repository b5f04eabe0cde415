"""A text as a vector of the embedded model's sentence space."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autointerp.lmm.local.tables import Floats


def meaning_of(text: str) -> "Floats":
    """[384], unit length: half the whole text, half its first phrase, as the judge reads it."""
    from autointerp.lmm.local.judge import target
    from autointerp.lmm.local.tables import tables
    from autointerp.lmm.local.text import text_encoder
    from autointerp.lmm.local.wording import parse

    parsed = parse(text)
    # A text about looks alone has no things in it; its words are all there is.
    whole = parsed.meaning or text
    return target(whole, parsed.head or whole, tables(), text_encoder().encode)
