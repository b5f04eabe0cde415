"""Actors of a Ray cluster whose nodes share no folder, stood in for by this process: one task after the other."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from autointerp.counting import Counting
from autointerp.jobs.ray_work import Crew

N_NODES = 2


class InTurn:
    """Nodes, each with a working folder and a cache of its own; what is sent to them can be pickled.

    Args:
        folder: of the nodes.
        patch: sets where a node works.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = patch
        self.ran: list[str] = []
        """The names of the tasks, in their order."""
        patch.setattr(Crew, "at_work", lambda crew, progress: self._at_work(progress))

    @contextmanager
    def _at_work(self, progress: Counting) -> Iterator[Callable[..., None]]:
        def each(task: Callable[..., None], arguments: Sequence[object]) -> None:
            for number, argument in enumerate(arguments):
                self._run(task, argument, number, progress)

        yield each

    def _run(self, task: Callable[..., None], argument: object, number: int, progress: Counting) -> None:
        home = self._folder / f"node-{number % N_NODES}"
        home.mkdir(parents=True, exist_ok=True)
        self.ran.append(task.__name__)
        with self._patch.context() as patch:
            patch.setenv("AUTOINTERP_CACHE", str(home / "cache"))
            patch.chdir(home)
            sent, given = pickle.loads(pickle.dumps((task, argument)))
            sent(given, progress)
