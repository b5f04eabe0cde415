"""A score as a line of scores.jsonl: its verdicts by columns, and no field that has its default.

Lines of earlier versions hold a list of verdicts, one object each, and are read as well.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from autointerp.schema import Score, Scored, Unscored, Verdict

_LISTS = ("verdicts", "margin")
"""Fields of a score that hold verdicts."""
_STRATUM = ("active", "stratum", "likeness")
"""What many verdicts share: each combination is written once, in `kinds`, and what is None is left out there."""
_WEIGHT = "weight"
"""What is shared too where it follows from these."""
_SHARED = frozenset((*_STRATUM, _WEIGHT))
_OWN = tuple(name for name in Verdict.model_fields if name not in (*_STRATUM, _WEIGHT))
"""What each verdict has of its own: a column each, which is left out where every value of it is None."""
_EXACT = 2.0**53
"""Below it every whole number is a float."""
_MOST = 100_000
"""Verdicts that columns hold at most: one takes 4 bytes of a line and 1,400 of memory. More stay a list."""


def _columns(verdicts: Sequence[Verdict]) -> dict[str, object]:
    """The verdicts by columns, in their order; the weight is one too where images of a stratum differ in it."""
    pairs = {tuple(getattr(v, name) for name in (*_STRATUM, _WEIGHT)) for v in verdicts}
    is_shared = len(pairs) == len({pair[:-1] for pair in pairs})
    kind, own = ((*_STRATUM, _WEIGHT), _OWN) if is_shared else (_STRATUM, (*_OWN, _WEIGHT))
    kinds: dict[tuple[object, ...], int] = {}
    places = [kinds.setdefault(tuple(getattr(v, name) for name in kind), len(kinds)) for v in verdicts]
    columns = {name: [_short(getattr(v, name)) for v in verdicts] for name in own}
    shared = [{n: _short(value) for n, value in zip(kind, one, strict=True) if value is not None} for one in kinds]
    told = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    return {"kinds": shared, "kind": places, **told}


def _short(value: object) -> object:
    """A whole number without its `.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _verdicts(columns: Mapping[str, object]) -> list[dict[str, object]]:
    """The verdicts that stand in columns, as yet unchecked. Raises ValueError where the columns do not fit together."""
    kinds, places = (_list(columns, name) for name in ("kinds", "kind"))
    if len(places) > _MOST:
        raise ValueError(f"kind has {len(places):,} values; columns hold at most {_MOST:,} verdicts")
    own = {name: _list(columns, name) for name in columns if name not in ("kinds", "kind")}
    odd = next((name for name, column in own.items() if len(column) != len(places)), None)
    if odd is not None:
        raise ValueError(f"{odd} has {len(own[odd])} values, but kind has {len(places)}")
    if not all(type(place) is int and 0 <= place < len(kinds) for place in places):
        raise ValueError(f"a kind is no place in kinds, of which there are {len(kinds)}")
    if not all(isinstance(kind, dict) and kind.keys() <= _SHARED for kind in kinds):
        # Each verdict copies its kind, so that a large one would be written out as often.
        raise ValueError(f"kinds are not all objects of {', '.join((*_STRATUM, _WEIGHT))}")
    own.setdefault("belief", [None] * len(places))
    rows = zip(*own.values(), strict=True)
    return [{**kinds[place], **dict(zip(own, row, strict=True))} for place, row in zip(places, rows, strict=True)]


def _list(columns: Mapping[str, object], name: str) -> list:  # pyright: ignore[reportMissingTypeArgument]
    found = columns.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name} is no list")
    return found


def _read(line: object) -> object:
    """The line as the record has it."""
    if not isinstance(line, dict):
        return line
    own = {name: _verdicts(line[name]) for name in _LISTS if isinstance(line.get(name), dict)}
    return {**line, **own} if own else line


def _written(score: Scored | Unscored) -> dict[str, object]:
    """The record as the line has it."""
    rest = score.model_dump(mode="json", exclude_defaults=True, exclude=set(_LISTS))
    line: dict[str, object] = {"status": score.status, **rest}
    if isinstance(score, Scored):
        lists = {name: own for name in _LISTS if (own := getattr(score, name))}
        line |= {name: _columns(own) if len(own) <= _MOST else own for name, own in lists.items()}
    return line


SCORE = TypeAdapter[Scored | Unscored](Annotated[Score, BeforeValidator(_read), PlainSerializer(_written)])


def _outline(line: object) -> object:
    """The line without what it says of single images and of parts."""
    return {n: v for n, v in line.items() if n not in (*_LISTS, "parts")} if isinstance(line, dict) else line


FIGURES = TypeAdapter[Scored | Unscored](Annotated[Score, BeforeValidator(_outline)])
"""Reads a line without its verdicts and parts, which take a hundred times the memory of the rest."""
