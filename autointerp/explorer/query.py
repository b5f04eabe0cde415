"""What a reader of the list asks for, as it stands in the page's address."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

PER_PAGE = 50
LONGEST = 300
"""Letters of a search that are looked at."""
SORTS = ("feature", "score", "density", "max", "width", "votes", "difference", "against", "relevance")
"""What the list can be sorted by; the last one only where something is searched for."""
STATES = ("one", "mixed", "none", "failed", "unexplainable", "unexplained")
NOT_ASKED = "not asked"
SCORED = ("scored", "undetermined", "unscored", NOT_ASKED)
DOMAINS = ("found", "not found", NOT_ASKED)
VOTES = ("any", "right", "partly", "wrong", "split", "none")


@dataclass(frozen=True, slots=True)
class Query:
    """Is what the list is narrowed down to and how it is sorted; what is empty or None narrows nothing."""

    q: str = ""
    """Words that the explanation, its concepts or its domain have, or the number of a feature."""
    like: str = ""
    """A text that the explanation means much the same as."""
    state: str = ""
    by: str = ""
    """Whose scores are shown: the name of a scorer and judge; the run's headline where empty."""
    scored: str = ""
    score_from: float | None = None
    score_to: float | None = None
    density_from: float | None = None
    density_to: float | None = None
    width: int | None = None
    domain: str = ""
    votes: str = ""
    differs: float | None = None
    """How far the scores of two runs are apart at least."""
    against: float | None = None
    """How far the scores of the judge and of a person are apart at least."""
    sort: str = ""
    down: str = ""
    """`1` where the largest comes first, `0` where the smallest does, else as is usual for the column."""
    page: int = 1

    @classmethod
    def of(cls, said: Mapping[str, str]) -> "Query":
        """Reads an address; what is no sense there is left out, so that no address is an error."""
        width, page = _number(said.get("width")), _number(said.get("page"))
        # The form has one field for both ways to search.
        means = said.get("how") == "meaning"
        return cls(
            q="" if means else _text(said.get("q")),
            like=_text(said.get("q" if means else "like")),
            state=_one(said.get("state"), STATES),
            by=_text(said.get("by")),
            scored=_one(said.get("scored"), SCORED),
            score_from=_number(said.get("score_from")),
            score_to=_number(said.get("score_to")),
            density_from=_number(said.get("density_from")),
            density_to=_number(said.get("density_to")),
            width=None if width is None else int(width),
            domain=_one(said.get("domain"), DOMAINS),
            votes=_one(said.get("votes"), VOTES),
            differs=_number(said.get("differs")),
            against=_number(said.get("against")),
            sort=_one(said.get("sort"), SORTS),
            down=_one(said.get("down"), ("0", "1")),
            page=1 if page is None else max(1, min(int(page), 10**9)),
        )

    def address(self, place: str = "/", **changes: object) -> str:
        """The address of the same, or of the same but for some fields, which then begins at its first page."""
        other = replace(self, **({"page": 1} if changes else {}) | changes)  # pyright: ignore[reportArgumentType]
        told = {f.name: getattr(other, f.name) for f in fields(other) if getattr(other, f.name) != f.default}
        words = urlencode({name: _written(v) for name, v in told.items() if v is not None})
        return f"{place}?{words}" if words else place

    @property
    def narrows(self) -> bool:
        """Whether it leaves features out."""
        return any(getattr(self, f.name) != f.default for f in fields(self) if f.name not in _SHOWS)

    @property
    def words(self) -> str:
        """What is searched for, as FTS5 reads it; empty where there is nothing to search for."""
        return expression(self.q)


_SHOWS = ("by", "sort", "down", "page")
_TOKEN = re.compile(r'(-?)"([^"]*)"?|(-?)(\S+)')


def expression(text: str) -> str:
    """Writes what a person typed for FTS5: all words, the last one also as a beginning; `-word` leaves out.

    Every word is quoted, so that nothing that is typed is an operator or an error.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    found = list(_TOKEN.finditer(text))[:24]
    for n, token in enumerate(found):
        phrase, word = token[2], token[4]
        said = phrase if phrase is not None else word
        if not any(letter.isalnum() for letter in said):
            continue
        quoted = '"{}"'.format(said.replace('"', ""))
        if token[1] or token[3]:
            unwanted.append(quoted)
        else:
            wanted.append(quoted + ("*" if phrase is None and n == len(found) - 1 else ""))
    if not wanted:
        return ""
    return " AND ".join(wanted) + "".join(f" NOT {one}" for one in unwanted)


def _text(said: str | None) -> str:
    return "".join(letter for letter in said or "" if letter.isprintable())[:LONGEST].strip()


def _one(said: str | None, known: tuple[str, ...]) -> str:
    return said if said is not None and said in known else ""


def _written(value: object) -> object:
    """A number as short as it can be read again."""
    if not isinstance(value, float):
        return value
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _number(said: str | None) -> float | None:
    try:
        value = float(said or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e15 else None
