"""The questions and replies that a run kept, found again when the run grows."""

from pathlib import Path
from threading import Lock

from autointerp.runs.exchanges import FILE, Exchange, Exchanges
from autointerp.runs.folder import Run


class KeptExchanges:
    """Reads exchanges of a run and its parts by feature, those of all judges; safe to use from several threads.

    Args:
        run: as it is now; it may grow.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = Lock()
        self._read: dict[Path, tuple[int, Exchanges]] = {}
        """Of each folder: the size of its file when it was read, and where the lines of each feature are."""

    def of(self, feature: int) -> tuple[Exchange, ...]:
        """The exchanges of a feature in order; of an earlier folder those that a later one repeats are left out.

        Raises:
            RunError: a line is damaged.
        """
        out: dict[str, Exchange] = {}
        with self._lock:
            for folder in self._run.folders:
                out |= {exchange.key: exchange for exchange in self._opened(folder).of(feature)}
        return tuple(out.values())

    def _opened(self, folder: Path) -> Exchanges:
        file = folder / FILE
        size = file.stat().st_size if file.exists() else 0
        known = self._read.get(folder)
        if known is None or known[0] != size:
            known = self._read[folder] = size, Exchanges(folder, judging=None)
        return known[1]
