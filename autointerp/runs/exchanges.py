"""exchanges.jsonl: the questions of a feature as they were sent, and the replies as they came, packed a line each."""

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from autointerp.errors import RunError
from autointerp.record import Record, Several
from autointerp.runs.index import judging_of, keys
from autointerp.runs.jsonl import JsonLines

FILE = "exchanges.jsonl"
MOST = 100
"""Exchanges of a line; further ones are counted alone."""
LONGEST = 20_000
"""Characters of a text that are kept."""
MOST_BYTES = 1 << 23
"""Bytes of a line unpacked; one that holds more was not written by this program."""
MOST_TOGETHER = 4 * MOST_BYTES
"""Bytes unpacked of all lines of a feature that are read; the last lines are."""


class ShownTile(Record):
    """One cell of a picture that was sent; its pixels follow from the image and this."""

    number: int
    """The number that the prompt gives it."""
    image: int
    """The dump's image."""
    rendering: str
    box: tuple[int, int, int, int] | None = None
    """Of what is cut out or marked: x0, y0, x1, y1 in pixels of the image; None for the whole image."""


class Sent(Record):
    """A part of a message: text, or a picture by what it shows."""

    text: str = ""
    tiles: Several[ShownTile] = ()
    columns: int = 0
    """Of a sheet; 0 for a single picture."""


class Turn(Record):
    """A message of a question."""

    role: str
    parts: Several[Sent]


class Exchange(Record):
    """A question and what came back."""

    key: str
    """First 16 hex digits of the key under which the cache has the answer."""
    task: str
    model: str
    turns: Several[Turn]
    replies: Several[str]
    """As they came, an unusable one before the one that was asked for again; from the cache the last one alone."""
    failure: str | None = None
    """The kind of failure that it came to, as in failures.jsonl; None for an answer."""


class ExchangeLine(Record):
    """A line of exchanges.jsonl."""

    feature: int
    stage: str
    """`explain` or `score`; `score@<judging>` of a judging after the first."""
    created: str
    n: int
    """How many exchanges it holds."""
    left_out: int = 0
    """How many more there were."""
    packed: str
    """A JSON list of exchanges, compressed by zlib, in base64."""

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Unpacks them. Raises ValueError where the line is damaged."""
        return listed(self.text)

    @property
    def text(self) -> bytes:
        """The JSON list of them. Raises ValueError where the line is damaged."""
        try:
            opened = zlib.decompressobj()
            text = opened.decompress(base64.b64decode(self.packed, validate=True), MOST_BYTES)
        except zlib.error as e:
            raise ValueError(f"packed: {e}") from e
        if not opened.eof:
            raise ValueError("packed: it is cut, or too large")
        return text


_LIST = TypeAdapter[tuple[Exchange, ...]](Annotated[Several[Exchange], Field(max_length=MOST)])
LINE = TypeAdapter[ExchangeLine](ExchangeLine)


def listed(text: bytes) -> tuple[Exchange, ...]:
    """The exchanges of a JSON list. Raises ValueError where it is none, or one of more than `MOST`."""
    try:
        return _LIST.validate_json(text)
    except ValidationError as e:
        raise ValueError(f"packed: {e.errors(include_url=False, include_input=False)[0]['msg']}") from e


def packed(feature: int, stage: str, created: str, exchanges: Sequence[Exchange], *, more: int = 0) -> ExchangeLine:
    """The line of these exchanges.

    Args:
        feature: id.
        stage: `explain` or `score`.
        created: ISO 8601.
        exchanges: in the order in which they were asked.
        more: how many are left out already.
    """
    kept = exchanges[:MOST]
    text = _LIST.dump_json(tuple(kept), exclude_defaults=True)
    while len(text) > MOST_BYTES:
        kept = kept[: len(kept) // 2]
        text = _LIST.dump_json(tuple(kept), exclude_defaults=True)
    return ExchangeLine(
        feature=feature,
        stage=stage,
        created=created,
        n=len(kept),
        left_out=more + len(exchanges) - len(kept),
        packed=base64.b64encode(zlib.compress(text, 9)).decode(),
    )


class Exchanges:
    """What a run kept, by feature; nothing where it kept nothing.

    Args:
        run: the run's folder.
        judging: whose questions are read, beside those of explaining; None for those of all.

    Raises:
        RunError: a line names no feature.
    """

    def __init__(self, run: Path, judging: str | None = "") -> None:
        self._path, self._judging = run / FILE, judging
        self._lines = JsonLines(self._path, LINE)
        found = np.fromiter((n for f, _, at in keys(self._path) for n in (f, at)), np.int64).reshape(-1, 2)
        self._table = found[np.lexsort((found[:, 1], found[:, 0]))]

    def of(self, feature: int) -> tuple[Exchange, ...]:
        """The exchanges of a feature in order, each once; the last holds where one was asked again.

        Where its lines hold more than `MOST_TOGETHER`, the first ones are left out.

        Raises:
            RunError: a line is damaged.
        """
        first, last = (int(np.searchsorted(self._table[:, 0], feature, side)) for side in ("left", "right"))
        out: dict[str, Exchange] = {}
        try:
            for text in self._latest(self._table[first:last, 1].tolist()):
                out |= {exchange.key: exchange for exchange in listed(text)}
        except ValueError as e:
            raise RunError(f"{self._path}: feature {feature}: {e}; mend or delete the line") from e
        return tuple(out.values())

    def _latest(self, places: Sequence[int]) -> list[bytes]:
        """The lists in the lines that begin at these bytes, of which the last ones are kept where all are too large."""
        out: list[bytes] = []
        left = MOST_TOGETHER
        for at in reversed(places):
            line = self._lines[at]
            if self._judging is not None and line.stage != "explain" and judging_of(line.stage) != self._judging:
                continue
            text = line.text
            left -= len(text)
            if left < 0:
                break
            out.append(text)
        return out[::-1]


def shortened(text: str, most: int = LONGEST) -> str:
    """The text, cut after so many characters with a note of how long it was."""
    return text if len(text) <= most else f"{text[:most]}… (cut here, {len(text):,} characters in all)"
