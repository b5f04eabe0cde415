"""Makes the reverse index when a page first needs it, in a thread, while other pages are served."""

from concurrent.futures import Future, TimeoutError
from pathlib import Path
from threading import Lock, Thread

from autointerp.dump.reader import Dump
from autointerp.errors import AutointerpError, SettingsError
from autointerp.explorer.reverse import Reverse, make_reverse, read_reverse

WAIT = 0.5
"""Seconds that a page waits for the index, which is made at its first use."""


class Reversing:
    """Gives the reverse index of a dump as soon as there is one.

    Args:
        dump: whose index it is.
        folder: of the cache.
    """

    def __init__(self, dump: Dump, folder: Path) -> None:
        self._dump, self._folder = dump, folder
        self._lock = Lock()
        self._made: Future[Reverse] | None = None
        self._done, self._of = 0, 1

    @property
    def share(self) -> float:
        """How much of the dump is read, 0 to 1."""
        return self._done / max(1, self._of)

    def reverse(self, wait: float) -> Reverse | None:
        """The index; None where it is not made after so many seconds. It is begun by the first call.

        Raises:
            DumpError: the dump is not as the format says.
            SettingsError: the cache folder cannot be written.
        """
        with self._lock:
            if self._made is None or (self._made.done() and self._made.exception() is not None):
                self._made = Future()
                Thread(target=self._make, args=(self._made,), daemon=True, name="autointerp-reverse").start()
            coming = self._made
        try:
            return coming.result(wait)
        except TimeoutError:
            return None

    def _make(self, made: "Future[Reverse]") -> None:
        try:
            found = read_reverse(self._folder, self._dump.digest)
            made.set_result(found or make_reverse(self._dump, self._folder, self._tell))
        except OSError as error:
            why = error.strerror or error
            made.set_exception(
                SettingsError(f"{self._folder}: cannot be written ({why}); name another folder with --cache")
            )
        except BaseException as error:
            made.set_exception(error)
            if not isinstance(error, AutointerpError):
                raise

    def _tell(self, done: int, of: int) -> None:
        self._done, self._of = done, of
