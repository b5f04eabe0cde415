"""A person who judges over the page's own interface."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

PATIENCE = 60.0
"""Seconds for a page to be served, on a machine that is busy with other things."""
_CHANGES = re.compile(r'<meta name="changes" content="([^"]+)">')
State = dict
"""As the page is told it."""


class Heard:
    """A display that waits for the address of the page."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._came = threading.Event()
        self.address = ""

    def show(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def advance(self, *, failed: bool) -> None:
        """Does nothing, since nobody looks."""

    def note(self, text: str) -> None:
        self.notes.append(text)
        if found := re.search(r" judges at (http://\S+)", text):
            self.address = found[1]
            self._came.set()

    def wait(self) -> "Visitor":
        """Somebody at the page, once it is served."""
        assert self._came.wait(PATIENCE), self.notes
        return Visitor(self.address)


class Visitor:
    """Asks the page for what its script asks for.

    Args:
        address: of the page.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.changes = _CHANGES.findall(self._open("").decode())[0]

    def state(self, seen: int | str = "") -> State:
        """What the page shows; with `seen`, once it is another."""
        return json.loads(self._open(f"state?seen={seen}"))

    def next(self, state: State | None = None) -> State:
        """What the page shows once there is something to do, or all is over."""
        state = state or self.state()
        while state["phase"] == "wait":
            state = self.state(state["version"])
        return state

    def picture(self, source: str) -> bytes:
        """A picture, as the model gets it."""
        return self._open(source)

    def act(self, path: str, **said: object) -> tuple[int, State]:
        """A change; the status and what the page shows then."""
        request = urllib.request.Request(
            self.address + path,
            json.dumps(said).encode(),
            {"content-type": "application/json", "x-autointerp": self.changes},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def give(self, state: State, values: dict[str, object]) -> State:
        """Fills in fields of the question that is shown."""
        status, told = self.act("give", step=state["step"], question=state["question"]["key"], values=values)
        assert status == 200, told
        return told

    def _open(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=PATIENCE) as answer:
            return answer.read()


class Says(Protocol):
    """Knows the answer to any question."""

    def __call__(self, question: State) -> dict[str, object]:
        """The fields of a question, filled in."""
        ...


def answer_all(visitor: Visitor, says: Says) -> int:
    """Answers until nothing more is asked; gives how many questions that were."""
    n, state = 0, visitor.next()
    while state["phase"] in ("question", "check"):
        if state["phase"] == "check":
            state = visitor.next(visitor.act("hand-in", step=state["step"])[1])
            continue
        state = visitor.next(visitor.give(state, says(state["question"])))
        n += 1
    return n


@contextmanager
def working(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Does something on a thread, which is over when the context is."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], object]) -> None:
    """Returns once something holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
