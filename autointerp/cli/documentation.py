"""Where the pages of docs/ lie, which help and messages name."""

import re
from pathlib import Path

HINT = "docs/ is the folder that `autointerp --docs` prints"
"""How one comes to a page, wherever one is named."""

_PAGE = re.compile(r"\bdocs/[a-z-]+\.md\b")


def folder() -> Path:
    """The pages as Markdown, of the version that runs."""
    inside = Path(__file__).parents[1] / "_docs"
    # A checkout has them at the top level, where people look for them; a wheel carries them inside.
    return inside if inside.is_dir() else Path(__file__).parents[2] / "docs"


def with_hint(text: str) -> str:
    """A message, and how one opens the page that it names."""
    return f"{text}; {HINT}" if _PAGE.search(text) else text


def hint_of(texts: list[str]) -> str | None:
    """What stands below the help of a command, if any of these texts of it names a page."""
    return f"{HINT}." if any(map(_PAGE.search, texts)) else None
