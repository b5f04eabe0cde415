"""Notes what is asked and answered while a feature is worked on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from autointerp.images.picture import Tile
from autointerp.lmm.request import ImagePart, Request, TextPart
from autointerp.runs.exchanges import MOST, Exchange, Sent, ShownTile, Turn, shortened

Note = Callable[[Sequence[str], str | None, str | None], None]
"""Is told the replies to a question, the kind of failure that it came to, if it did, and the stamp of its answer."""


class Heard:
    """What was asked within a context, in the order in which it was asked.

    Args:
        wanted: whether the exchanges are kept; what was answered is noted in any case.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted
        self._noted: list[Exchange | None] = []
        self.more = 0
        """How many were left out."""
        self.answers: dict[str, str | None] = {}
        """By the key of each question: the stamp of the answer; None where there is none, or it took two replies."""

    @property
    def exchanges(self) -> list[Exchange]:
        """Those that something came of."""
        return [exchange for exchange in self._noted if exchange is not None]

    def note(self, request: Request) -> Note:
        """Keeps a place for a question, and gives what fills it."""
        self.answers[request.key] = None
        place = len(self._noted)
        kept = self._wanted and place < MOST
        if kept:
            self._noted.append(None)
        elif self._wanted:
            self.more += 1

        def fill(replies: Sequence[str], failure: str | None, stamp: str | None) -> None:
            self.answers[request.key] = stamp if len(replies) == 1 else None
            if kept:
                self._noted[place] = _exchange(request, replies, failure)

        return fill


def _nowhere(replies: Sequence[str], failure: str | None, stamp: str | None) -> None:
    """Takes the place of a note that nobody wants."""


_HEARS: ContextVar[Heard | None] = ContextVar("hears", default=None)


@contextmanager
def hearing(*, wanted: bool = True) -> Iterator[Heard]:
    """Notes what this task, and those that it begins, ask while the context lasts; no exchange unless it is wanted."""
    heard = Heard(wanted=wanted)
    token = _HEARS.set(heard)
    try:
        yield heard
    finally:
        _HEARS.reset(token)


def note(request: Request) -> Note:
    """Notes a question for whoever wants it; what is given back is told what came of it."""
    heard = _HEARS.get()
    return _nowhere if heard is None else heard.note(request)


def _exchange(request: Request, replies: Sequence[str], failure: str | None) -> Exchange:
    return Exchange(
        key=request.key[:16],
        task=request.task,
        model=request.model,
        turns=tuple(Turn(role=m.role, parts=tuple(map(_sent, m.parts))) for m in request.messages),
        replies=tuple(map(shortened, replies)),
        failure=failure,
    )


def _rendering(tile: Tile) -> str:
    if tile.file is not None:
        return "edited"
    return tile.rendering if tile.erased is None else "erased"


def _sent(part: TextPart | ImagePart) -> Sent:
    if isinstance(part, TextPart):
        return Sent(text=shortened(part.text))
    cells = zip(part.numbers, part.picture.tiles, strict=True)
    return Sent(
        tiles=tuple(
            ShownTile(
                number=number,
                image=tile.image,
                rendering=_rendering(tile),
                box=None if tile.box is None else (tile.box.x0, tile.box.y0, tile.box.x1, tile.box.y1),
            )
            for number, tile in cells
        ),
        columns=part.picture.columns,
    )
