"""The desk at which a person answers: which question is asked, what was said of it, and what can be taken back.

Questions lie there in the order in which they were asked. One that is answered stays until `KEPT` further ones are, or
until all are handed in, so that it can be taken back; then its answer goes to the cache and is final.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import RLock

from autointerp.images.picture import Picture
from autointerp.lmm.human.journal import Given, Journal
from autointerp.lmm.human.questions import Question
from autointerp.lmm.outcomes import ENDED, CallError
from autointerp.lmm.request import Images

KEPT = 5
"""Answered questions that can be taken back."""
AHEAD = 3
"""Questions whose pictures a page may fetch before they are asked."""


class StaleError(Exception):
    """A page speaks of a desk as it is no more, for example since it is open in another window."""


@dataclass(eq=False)
class Asked:
    """A question on the desk."""

    turn: int
    """When it was asked, counted from 0."""
    question: Question
    images: Images
    """Where its pictures come from."""
    given: Given = field(default_factory=dict)
    reply: Future[Given] = field(default_factory=Future)


class Desk:
    """All that the pages of one person show; safe to use from several threads.

    Args:
        who: the person's name.
    """

    def __init__(self, who: str) -> None:
        self.who = who
        self.version = 0
        """Counts the changes, questions that come and go included."""
        self.step = 0
        """Counts what the person did."""
        self.over = False
        """Whether nothing more is asked."""
        self.ending = ""
        """Why, where the person should know."""
        self.final = 0
        """Questions whose answers can no longer be taken back."""
        self.open: list[Asked] = []
        """Questions without a whole answer, in the order of their turns."""
        self.held: list[Asked] = []
        """Answered questions that can be taken back, the latest last."""
        self.current: Asked | None = None
        self._turns = itertools.count()
        self._journal: Journal | None = None
        self._leave: Callable[[], None] = lambda: None
        self.lock = RLock()
        """Held while several of these are read or changed together."""

    def sit(self, journal: Journal, leave: Callable[[], None]) -> None:
        """Begins to take questions.

        Args:
            journal: keeps what is said.
            leave: called when the person wants to end.
        """
        self._journal, self._leave = journal, leave

    def turn(self) -> int:
        """The turn of the next question that is asked."""
        return next(self._turns)

    def ask(self, turn: int, question: Question, images: Images) -> Asked:
        """Puts a question on the desk; what was said of it in an earlier session counts."""
        assert self._journal is not None
        with self.lock:
            asked = Asked(turn, question, images)
            if self.over:
                asked.reply.set_exception(_ended())
                return asked
            fields = {field.name: field for field in question.fields}
            said = self._journal.said_of(question.key)
            asked.given = {name: value for name, value in said.items() if name in fields}
            self.open.append(asked)
            self.open.sort(key=lambda one: one.turn)
            self._settle(asked)
            self._changed()
        return asked

    def forget(self, asked: Asked) -> None:
        """Nobody waits for an answer to this question any more."""
        with self.lock:
            for pile in (self.open, self.held):
                if asked in pile:
                    pile.remove(asked)
                    self._changed()

    def give(self, step: int, key: str, values: Given) -> None:
        """Fills in fields of the question that is asked.

        Args:
            step: as the page was told.
            key: of the question that the page shows.
            values: by the name of the field.

        Raises:
            StaleError: another page has done something since this one was told.
            ValueError: a value is none of its field, or the fields do not go together.
            RunError: it cannot be kept.
        """
        with self.lock:
            asked = self._at(step)
            if asked is None or asked.question.key != key:
                raise StaleError
            fields = {field.name: field for field in asked.question.fields}
            if not values or not fields.keys() >= values.keys():
                raise ValueError("the question has no such field")
            checked = {name: fields[name].checked(value) for name, value in values.items()}
            asked.question.whole(asked.given | checked)
            for name, value in checked.items():
                self._note(asked, name, value)
            self._settle(asked)
            self._stepped()

    def undo(self, step: int) -> None:
        """Takes back what was said last, of this question or of the one before.

        Raises:
            StaleError: as for `give`.
            RunError: it cannot be kept.
        """
        with self.lock:
            asked = self._at(step)
            if asked is None or not asked.given:
                if not self.held:
                    return
                asked = self.held.pop()
                self.open.append(asked)
                self.open.sort(key=lambda one: one.turn)
            last = next(reversed(asked.given))
            # A box is said at once.
            names = list(asked.given) if asked.question.is_box else [last]
            for name in names:
                self._note(asked, name, None)
            self.current = asked
            self._stepped()

    def hand_in(self, step: int) -> None:
        """Makes all answers final that are whole.

        Raises:
            StaleError: as for `give`.
        """
        with self.lock:
            self._at(step)
            self._release(0)
            self._stepped()

    def leave(self) -> None:
        """The person wants to end; what was answered is kept."""
        self._leave()

    def end(self) -> None:
        """Nothing more is asked: whole answers become final, and questions without one stay without."""
        with self.lock:
            if self.over:
                return
            self.over = True
            self._release(0)
            for asked in self.open:
                if not asked.reply.done():
                    asked.reply.set_exception(_ended())
            self.open = []
            self._changed()

    def conclude(self, ending: str) -> None:
        """All is over, what comes of the answers included.

        Args:
            ending: what the person should know of it.
        """
        with self.lock:
            self.end()
            self.ending = ending
            self._changed()

    def close(self) -> None:
        """Ends, and lets go of the journal."""
        self.end()
        with self.lock:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    def pictures(self) -> dict[str, tuple[Picture, Images]]:
        """The pictures that a page may ask for, by their digests."""
        with self.lock:
            shown = [*self.held[-1:], *([self.current] if self.current else []), *self.open[: 8 * AHEAD]]
            return {t.picture.digest: (t.picture, one.images) for one in shown for t in one.question.tiles}

    def _at(self, step: int) -> Asked | None:
        """The question that is asked, if the page knows of all that was done."""
        if step != self.step or self.over:
            raise StaleError
        return self.current

    def _stepped(self) -> None:
        self.step += 1
        self._changed()

    def _note(self, asked: Asked, name: str, value: bool | int | str | None) -> None:
        assert self._journal is not None
        self._journal.note(asked.question.key, name, value)
        asked.given.pop(name, None)
        if value is not None:
            asked.given[name] = value

    def _settle(self, asked: Asked) -> None:
        """Puts a question away that has a whole answer."""
        try:
            whole = asked.question.whole(asked.given)
        except ValueError:
            whole = None  # of an earlier version, which accepted more
        if whole is not None:
            self.open.remove(asked)
            self.held.append(asked)
            self._release(KEPT)

    def _release(self, kept: int) -> None:
        """Makes the answers final that came before the last so many."""
        while len(self.held) > kept:
            asked = self.held.pop(0)
            whole = asked.question.whole(asked.given)
            assert whole is not None
            self.final += 1
            if not asked.reply.cancelled():
                asked.reply.set_result(whole)

    def _changed(self) -> None:
        if self.current not in self.open:
            self.current = self.open[0] if self.open else None
        self.version += 1


def _ended() -> CallError:
    return CallError(ENDED, "the session ended before it was answered", again=False)
