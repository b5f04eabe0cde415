"""A bounded memory of what is costly to make, in which each thing is made once however many threads want it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Store(Generic[K, V]):
    """Keeps the most recently used values up to a limit of bytes; thread-safe."""

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        """Starts with an empty store.

        Args:
            limit: bytes to keep at most; what is being made or handed out comes on top.
            weigh: bytes that a value takes.
        """
        self._limit = limit
        self._weigh = weigh
        self._held = 0
        self._ready: OrderedDict[K, V] = OrderedDict()
        self._coming: dict[K, Future[V]] = {}
        self._lock = Lock()

    @property
    def held(self) -> int:
        """Returns how many bytes are kept now."""
        return self._held

    def peek(self, key: K) -> V | None:
        """The value if it is kept, without making it."""
        with self._lock:
            return self._find(key)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value: kept, awaited from the thread that is making it, or made here.

        Raises:
            Exception: what `make` raises, in every thread that waits for it; nothing is kept then.
        """
        with self._lock:
            value = self._find(key)
            if value is not None:
                return value
            mine: Future[V] = Future()
            coming = self._coming.setdefault(key, mine)
        if coming is not mine:
            return coming.result()
        try:
            value = make()
        except BaseException as e:
            with self._lock:
                del self._coming[key]
            mine.set_exception(e)
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, value)
        mine.set_result(value)
        return value

    def _find(self, key: K) -> V | None:
        value = self._ready.get(key)
        if value is not None:
            self._ready.move_to_end(key)
        return value

    def _keep(self, key: K, value: V) -> None:
        weight = self._weigh(value)
        if weight > self._limit:
            return
        self._ready[key] = value
        self._held += weight
        while self._held > self._limit:
            self._held -= self._weigh(self._ready.popitem(last=False)[1])
