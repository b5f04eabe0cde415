"""Small HTML for notebooks, without scripts or links, in the notebook's own colours.

All text is foreign: it is escaped, shortened, and kept from being typeset as a formula.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from autointerp.errors import printable

MOST_TEXT = 1000
"""Characters of a text that are shown; the record has all of them."""
MOST_LISTED = 10
"""Entries of a list that are shown."""
_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = f"text-align:left;vertical-align:top;padding:.15em .6em;border-bottom:{_LINE};background:none"
# Notebooks typeset formulas of `$…$` in HTML as well, unless one of these classes forbids it.
_FRAME = '<div class="tex2jax_ignore mathjax_ignore" style="max-width:64em;line-height:1.4">{}</div>'
_FIGURE = "display:inline-block;margin:.2em .4em .2em 0;text-align:center;font-size:80%;vertical-align:top"


class Thumbnail(NamedTuple):
    """A small picture and what stands below it."""

    jpeg: str
    """The file in base64; empty where the image cannot be read."""
    caption: str
    title: str
    """Said where a pointer rests on it."""


def escaped(text: object, most: int = MOST_TEXT) -> str:
    """Foreign text as HTML, on one line, shortened."""
    flat = " ".join(printable(str(text)[: 2 * most]).split())
    return html.escape(flat if len(flat) <= most else f"{flat[:most]}…")


def framed(*parts: str) -> str:
    """The parts below each other, as a whole that nothing is typeset in."""
    return _FRAME.format("".join(parts))


def heading(text: object, aside: object = "") -> str:
    """A title, and what is said beside it."""
    more = f' <span style="opacity:.7">{escaped(aside)}</span>' if aside else ""
    return f"<div><b>{escaped(text)}</b>{more}</div>"


def facts(of: Mapping[str, object]) -> str:
    """Names and values, a line each; what is None or empty is left out."""
    return table((), ((name, value) for name, value in of.items() if value not in (None, "", ())))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Makes a table of texts, which are escaped."""
    made = [_row("td", row) for row in rows]
    whole = "".join([_row("th", headings), *made] if headings else made)
    return f'<table style="border-collapse:collapse;margin:.2em 0">{whole}</table>' if made else ""


def _row(tag: str, cells: Sequence[object]) -> str:
    inner = "".join(f'<{tag} style="{_CELL}">{escaped(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"


def strip(pictures: Iterable[Thumbnail]) -> str:
    """Puts pictures beside each other."""
    figures = "".join(map(_figure, pictures))
    return f"<div>{figures}</div>" if figures else ""


def _figure(picture: Thumbnail) -> str:
    said, title = escaped(picture.caption, 40), escaped(picture.title, 200)
    image = f'<img src="data:image/jpeg;base64,{picture.jpeg}" alt="{title}" title="{title}">'
    shown = image if picture.jpeg else f'<span title="{title}">cannot be read</span>'
    return f'<span style="{_FIGURE}">{shown}<br><span style="opacity:.7">{said}</span></span>'


def listed(texts: Sequence[object]) -> str:
    """The first texts, as one."""
    more = f" and {len(texts) - MOST_LISTED:,} more" if len(texts) > MOST_LISTED else ""
    return ", ".join(str(text) for text in texts[:MOST_LISTED]) + more
