"""Which features of a dump a command works on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError

Ints = npt.NDArray[np.int64]

_ITEM = re.compile(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?")
N_NAMED = 5
"""Unknown features, or ranges of them, that a message lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A choice of features, narrowed in this order: those named, a nested prefix, a random sample."""

    starts: Ints | None = None
    """First feature of each range named; None for all features."""
    stops: Ints | None = None
    """One past the last feature of each range, as long as `starts`; a feature named alone is a range of one."""
    width: int | None = None
    """Keeps the features of the nested prefix of this width."""
    n_sample: int | None = None
    """Keeps this many (or all, if there are fewer), drawn uniformly without replacement."""
    seed: int = 0
    """Of the sample."""

    def resolve(self, present: Ints, widths: tuple[int, ...]) -> Ints:
        """The features chosen among those `present`, both ascending.

        A range keeps what is present of it; a feature named alone must be there.

        Raises:
            SettingsError: a feature named alone is not there, the width is none of `widths`, a size is negative.
        """
        chosen = self._named(present)
        if self.width is not None:
            if self.width not in widths:
                known = ", ".join(str(w) for w in widths)
                raise SettingsError(f"--width {self.width}: the dump has no such nested prefix; choose one of {known}")
            chosen = chosen[chosen < self.width]
        if self.n_sample is not None:
            if self.n_sample < 0:
                raise SettingsError(f"--sample {self.n_sample}: expected 0 or more features")
            size = min(self.n_sample, len(chosen))
            chosen = np.sort(np.random.default_rng(self.seed).choice(chosen, size=size, replace=False))
        return chosen

    def narrowed(self, *, width: int | None = None, n_sample: int | None = None, seed: int = 0) -> "Selection":
        """The same features named, narrowed like this."""
        return replace(self, width=width, n_sample=n_sample, seed=seed)

    def _named(self, present: Ints) -> Ints:
        if self.starts is None or self.stops is None:
            return present
        low = np.searchsorted(present, self.starts)
        high = np.searchsorted(present, self.stops)
        missing = (low == high) & (self.stops - self.starts == 1)
        if missing.any():
            there = (
                f"its {len(present)} features lie in {present[0]} to {present[-1]}" if len(present) else "it has none"
            )
            named = _some(self.starts[missing], self.stops[missing])
            raise SettingsError(f"{named} are not in this dump: {there}")
        # Ranges may overlap: a position is chosen while more of them have begun than ended.
        steps = np.zeros(len(present) + 1, np.int64)
        np.add.at(steps, low, 1)
        np.add.at(steps, high, -1)
        return present[np.cumsum(steps[:-1]) > 0]


def parse_features(text: str, *, n_latents: int) -> Selection:
    """Reads a choice of features: `all`, or numbers and ranges such as `0-511,600`, or `@FILE` with one on each line.

    Ranges include both ends. In a file, `#` starts a comment and empty lines are skipped.

    Raises:
        SettingsError: an item is not a number, a range or a readable file, or lies beyond `n_latents`.
    """
    text = text.strip()
    if text == "all":
        return Selection()
    ends: list[tuple[int, int]] = []
    for where, item in _items(text):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise SettingsError(f"{where}{item!r} is not a feature, a range such as 0-511, all, or @FILE")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise SettingsError(f"{where}{item!r} runs backwards; write {last}-{first}")
        ends.append((first, last))
    if not ends:
        raise SettingsError(f"--features {text!r}: no feature is named; write all for every feature")
    table = np.array(ends, dtype=np.int64)
    starts, stops = table[:, 0], table[:, 1] + 1
    beyond = stops > n_latents
    if beyond.any():
        named = _some(np.maximum(starts[beyond], n_latents), stops[beyond])
        raise SettingsError(f"{named} do not exist: this dump has 0 to {n_latents - 1}")
    return Selection(starts=starts, stops=stops)


def _items(text: str) -> Iterator[tuple[str, str]]:
    """Each item, after what says where it stands."""
    if not text.startswith("@"):
        yield from (("--features: ", item.strip()) for item in text.split(",") if item.strip())
        return
    path = Path(text[1:])
    try:
        # Spreadsheets put a byte order mark at the start.
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                item = line.partition("#")[0].strip()
                if item:
                    yield f"{path}:{number}: ", item
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: a list of features cannot be read: {error}") from error


def _some(starts: Ints, stops: Ints) -> str:
    """The first of some features and ranges, ascending, and how many features all of them are."""
    pieces: list[list[int]] = np.unique(np.stack([starts, stops], axis=1), axis=0).tolist()
    named = ", ".join(str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in pieces[:N_NAMED])
    total, rest = _size(pieces), _size(pieces) - _size(pieces[:N_NAMED])
    more = f" and {rest:,} more" if rest else ""
    return f"features {named}{more}" + (f" ({total:,} in all)" if any(b - a > 1 for a, b in pieces) else "")


def _size(pieces: list[list[int]]) -> int:
    """Features in ascending ranges, which may overlap."""
    size = end = 0
    for first, stop in pieces:
        size += max(0, stop - max(first, end))
        end = max(end, stop)
    return size
