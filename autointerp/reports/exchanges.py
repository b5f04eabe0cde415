"""What a card says of the questions that were asked about its feature, and of the replies."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from autointerp.runs.exchanges import Exchange, Sent, ShownTile, shortened

MOST_PROMPTS = 12
"""Prompts of a card; a feature that carries the controls has one more for each of their texts."""
MOST_REPLIES = 12
"""Replies to one prompt, and texts that came for one question."""
MOST_TURNS = 12
"""Messages of a prompt, which has two."""
MOST_PICTURES = 200
"""Pictures of a question that are told in words."""
LONGEST = 6_000
"""Characters of a text."""
OPENING = 120
"""Characters of a text's first line in the title of its fold."""


@dataclass(frozen=True, slots=True)
class AskedTurn:
    """A message, its pictures as `[picture 1]`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What came back for one set of pictures."""

    pictures: tuple[str, ...]
    """Each in words."""
    replies: tuple[str, ...]
    failure: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt, and all that was answered to it."""

    task: str
    model: str
    turns: tuple[AskedTurn, ...]
    told: tuple[Told, ...]
    more: int
    """Further replies, which are not shown."""

    @property
    def opening(self) -> str:
        """The first line of the last message, which tells questions of one task apart."""
        line = next((line for line in self.turns[-1].text.splitlines() if line.strip()), "") if self.turns else ""
        return line if len(line) <= OPENING else f"{line[:OPENING]}…"


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that a card shows of what was asked."""

    asked: tuple[Asked, ...]
    n: int
    """Questions that the run kept."""
    more: int
    """Prompts that are not shown."""


def conversation(exchanges: Sequence[Exchange]) -> Conversation | None:
    """Puts questions together that differ in their pictures alone; None where nothing was kept."""
    if not exchanges:
        return None
    prompts: dict[object, list[Exchange]] = {}
    for exchange in exchanges:
        prompts.setdefault((exchange.task, exchange.model, _turns(exchange)), []).append(exchange)
    asked = tuple(_asked(own) for own in list(prompts.values())[:MOST_PROMPTS])
    return Conversation(asked, len(exchanges), max(0, len(prompts) - MOST_PROMPTS))


def _asked(exchanges: Sequence[Exchange]) -> Asked:
    first = exchanges[0]
    told = tuple(
        Told(tuple(map(_in_words, _pictures(e))), tuple(map(_cut, e.replies[-MOST_REPLIES:])), e.failure)
        for e in exchanges[:MOST_REPLIES]
    )
    return Asked(first.task, first.model, _turns(first), told, max(0, len(exchanges) - MOST_REPLIES))


def _pictures(exchange: Exchange) -> list[Sent]:
    return [part for turn in exchange.turns for part in turn.parts if part.tiles][:MOST_PICTURES]


def _turns(exchange: Exchange) -> tuple[AskedTurn, ...]:
    n, out = 0, []
    for turn in exchange.turns[:MOST_TURNS]:
        lines: list[str] = []
        for part in turn.parts:
            n += bool(part.tiles)
            lines.append(f"[picture {n}]" if part.tiles else part.text)
        out.append(AskedTurn(_cut(turn.role), _cut("\n".join(lines))))
    return tuple(out)


def _in_words(picture: Sent) -> str:
    cells = [list(own) for _, own in groupby(picture.tiles, key=lambda tile: tile.number)]
    if not picture.columns:
        return _tile(picture.tiles[0])
    return _cut("a sheet: " + "; ".join(f"{own[0].number} {' and '.join(map(_tile, own))}" for own in cells))


def _tile(tile: ShownTile) -> str:
    if tile.rendering == "full" or tile.box is None:
        return f"image {tile.image}"
    x0, y0, x1, y1 = tile.box
    return f"image {tile.image} ({tile.rendering}, x {x0} to {x1}, y {y0} to {y1})"


def _cut(text: str) -> str:
    return shortened(text, LONGEST)
