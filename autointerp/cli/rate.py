"""How fast a job goes now: rates over the recent past, from which the time left follows."""

from collections import deque
from typing import NamedTuple

SPAN = 30.0
"""Seconds that rates look back at least."""
LEAST = 16
"""Features that they look back on at least, where features are slow."""
APART = 1.0
"""Seconds between two samples kept."""


class Sample(NamedTuple):
    """The counts at one moment."""

    at: float
    """Seconds."""
    through: int
    """Features."""
    requests: int
    answered: int
    """Questions answered by the endpoint."""
    cached: int
    """Questions answered from the cache."""


class Recent:
    """Keeps samples of the counts.

    A resumed run begins with features whose answers are all in the cache, many in a second. What they say of the time
    left is forgotten with the first answer of the endpoint.
    """

    def __init__(self, first: Sample) -> None:
        self._samples = deque([first])
        self._replaying = False

    def take(self, now: Sample) -> None:
        """Adds the counts of this moment."""
        last = self._samples[-1]
        if self._replaying and now.answered > last.answered:
            self._samples = deque([last])
            self._replaying = False
        elif now.answered == self._samples[0].answered and now.cached > last.cached:
            self._replaying = True
        if len(self._samples) > 1 and last.at - self._samples[-2].at < APART:
            self._samples.pop()
        self._samples.append(now)
        while len(self._samples) > 2 and self._suffices(self._samples[1], now):
            self._samples.popleft()

    def _suffices(self, first: Sample, last: Sample) -> bool:
        return last.at - first.at >= SPAN and last.through - first.through >= LEAST

    @property
    def features_per_second(self) -> float:
        """Features through a second; 0 while none is."""
        first, last = self._samples[0], self._samples[-1]
        return (last.through - first.through) / (last.at - first.at) if last.at > first.at else 0.0

    @property
    def requests_per_second(self) -> float:
        """Returns how many calls were sent a second."""
        first, last = self._samples[0], self._samples[-1]
        return (last.requests - first.requests) / (last.at - first.at) if last.at > first.at else 0.0

    def left(self, features: int) -> float | None:
        """Seconds that so many more features take at this rate; None where there is none yet."""
        rate = self.features_per_second
        return features / rate if rate else None
