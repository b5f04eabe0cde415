"""Lines of a run as an index needs them: which feature, what is said of it and how good that is; no single verdicts."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic_core import from_json

from autointerp.errors import RunError
from autointerp.schema import UNDETERMINED

N_LINES = 4096
"""Lines that are taken up at once."""
_VERDICTS = b',"verdicts":{'
"""Where the larger part of a score's line begins; inside a JSON string these bytes cannot stand."""
SAID = ("unexplained", "one", "mixed", "none")
"""What the column `said` counts from 0."""
SCORED = ("", "scored", "undetermined", "unscored")
"""What the columns `status` count from 0."""
DOMAIN = ("", "not found", "found")
"""What the column `domain` counts from 0."""
Line = Mapping[str, object]


class Reader:
    """Reads what was appended to a file, up to a last line that is torn.

    Args:
        file: of lines.
        start: the byte at which to begin.
        stream: the file, open.
    """

    def __init__(self, file: Path, start: int, stream: BinaryIO) -> None:
        self.file, self.end = file, start
        """The byte after the last line that was read."""
        self.done = False
        """Whether there is no whole line left."""
        self._stream = stream
        stream.seek(start)

    def lines(self) -> Iterator[tuple[int, Line]]:
        """The next `N_LINES`, each with the byte at which it begins. Each is to be used up before the next is read.

        Raises:
            RunError: a line is no JSON object.
        """
        for _ in range(N_LINES):
            line = self._stream.readline()
            if not line.endswith(b"\n"):
                self.done = True  # the end, or torn: its writer was killed or is writing it now
                return
            at = self.end
            self.end = at + len(line)
            yield at, _parsed(line, self.file, at)


def unusable(file: Path, at: int, why: str) -> RunError:
    """Says that a line is not what it should be."""
    return RunError(f"{file}: the line at byte {at} is {why}; mend or delete it")


def _parsed(line: bytes, file: Path, at: int) -> Line:
    cut = line.find(_VERDICTS)
    if cut >= 0:
        try:
            head = from_json(line[:cut] + b"}")
        except ValueError:
            head = None  # they stand inside another field
        # In lines of earlier versions fields follow.
        if isinstance(head, dict) and "created" in head:
            return head
    try:
        whole = from_json(line)
    except ValueError as error:
        raise unusable(file, at, "no JSON") from error
    if not isinstance(whole, dict):
        raise unusable(file, at, "no object")
    return whole


@dataclass(slots=True)
class Columns:
    """Is what some lines say, a list for each column."""

    places: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    values: list[tuple[object, ...]] = field(default_factory=list)
    """One a line, as whoever reads them fills them."""
    usages: list[object] = field(default_factory=list)
    figures: set[str] = field(default_factory=set)
    """Names of details that are numbers."""


@dataclass(slots=True)
class Usages:
    """Is the sum of what calls used."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = None

    def add(self, other: "Usages") -> None:
        """Adds what further calls used."""
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.cached_tokens += other.cached_tokens
        self.output_tokens += other.output_tokens
        if other.dollars is not None:
            self.dollars = (self.dollars or 0.0) + other.dollars

    @classmethod
    def of(cls, said: Iterable[object]) -> "Usages":
        """The sum of what lines say."""
        own = [usage for usage in said if isinstance(usage, dict)]
        dollars = [known for usage in own if (known := usage.get("dollars")) is not None]
        sums = {name: sum(usage.get(name, 0) for usage in own) for name in _COUNTS}
        return cls(**sums, dollars=sum(dollars) if dollars else None)


@dataclass(frozen=True, slots=True)
class Key:
    """Names the scores of one scorer in one judging."""

    scorer: str
    judge: str = field(compare=False)
    """As the first of them says."""
    judging: str = ""
    """Which of the judgings of the run; empty for the first."""

    @property
    def name(self) -> str:
        """How an address names them."""
        return "@".join((self.scorer, self.judge, *([self.judging] if self.judging else [])))


def judges_of(keys: Iterable[Key]) -> dict[Key, str]:
    """How pages name the judge of each key: with the judging where one judge has several, as `--judge` has it."""
    known = list(keys)
    ways = {judge: {key.judging for key in known if key.judge == judge} for judge in {key.judge for key in known}}
    return {key: key.judge if len(ways[key.judge]) == 1 else f"{key.judge}@{key.judging or 'first'}" for key in known}


def explanations(read: Reader) -> Columns:
    """Of each line: text, concepts, domain, `said`, `domain`.

    Raises:
        RunError: a line is no explanation.
    """
    out = Columns()
    for at, line in read.lines():
        try:
            out.features.append(_id(line))
            out.values.append(_explanation(line))
            out.usages.append(_usage(line))
        except (KeyError, TypeError) as error:
            raise unusable(read.file, at, "no explanation") from error
        out.places.append(at)
    return out


def _explanation(line: Line) -> tuple[str, str, str, int, int]:
    domain, concepts, text = line.get("domain"), line["concepts"], line["text"]
    if not isinstance(text, str) or not isinstance(concepts, list):
        raise TypeError
    said = 3 if line["none"] else 2 if line.get("mixed") else 1
    if not isinstance(domain, dict):
        return text, "\n".join(concepts), "", said, 0
    words = f"{domain['text']}\n{domain['category']}" if domain["found"] else ""
    return text, "\n".join(concepts), words, said, 2 if domain["found"] else 1


def scores(read: Reader) -> dict[Key, Columns]:
    """Of each line: place in `SCORED`, value, low, high, controls.

    Raises:
        RunError: a line is no score.
    """
    out: dict[tuple[object, object], Columns] = {}
    judges: dict[tuple[object, object], object] = {}
    for at, line in read.lines():
        try:
            key = line["scorer"], line.get("judging", "")
            columns = out.get(key)
            if columns is None:
                columns = out[key] = Columns()
                judges[key] = line["judge"]
            columns.features.append(_id(line))
            columns.values.append(_score(line, columns.figures))
            columns.usages.append(_usage(line))
        except (AttributeError, KeyError, TypeError) as error:
            raise unusable(read.file, at, "no score") from error
        columns.places.append(at)
    return {Key(str(key[0]), str(judges[key]), str(key[1])): columns for key, columns in out.items()}


_NONE = math.nan
_LARGEST = 3e38
_WITHOUT = (SCORED.index("unscored"), _NONE, _NONE, _NONE, {})


def _score(line: Mapping, figures: set[str]) -> tuple[int, float, float, float, dict]:  # pyright: ignore[reportMissingTypeArgument]
    if line["status"] != "scored":
        return _WITHOUT
    value, low, high, details, controls = line["value"], line["low"], line["high"], line["details"], line["controls"]
    # As `Scored.undetermined` has it.
    wide = high - low > UNDETERMINED + 1e-9 and details.get("form") != "lmm"
    if not details.keys() <= figures:
        figures.update(name for name, detail in details.items() if type(detail) in (float, int))
    for number in (value, low, high, *[control["value"] for control in controls.values()]):
        # Comparing also refuses what is no number, and what single precision cannot hold.
        if not abs(number) < _LARGEST:
            raise TypeError
    return 2 if wide else 1, value, low, high, controls


def failures(read: Reader) -> Columns:
    """Of each line: stage, kind.

    Raises:
        RunError: a line is no failure.
    """
    out = Columns()
    for at, line in read.lines():
        try:
            out.features.append(_id(line))
            stage, kind = _text(line, "stage"), _text(line, "kind")
        except (KeyError, TypeError) as error:
            raise unusable(read.file, at, "no failure") from error
        # The passes of explaining fail and succeed together, so the latest failure of any stands for all.
        out.values.append(("explain" if stage.startswith("explain") else stage, kind))
        out.places.append(at)
    return out


_COUNTS = ("calls", "input_tokens", "cached_tokens", "output_tokens")
_MOST_USED = 1 << 40
"""Of anything, by the questions about one feature; so many of it can be added up in 64 bits for 8 million features."""


def _usage(line: Line) -> object:
    usage = line.get("usage")
    if isinstance(usage, dict):
        counts = [usage.get(name, 0) for name in _COUNTS]
        if any(type(count) is not int for count in counts) or not 0 <= min(counts) <= max(counts) < _MOST_USED:
            raise TypeError
        if (dollars := usage.get("dollars")) is not None and not 0 <= dollars < _MOST_USED:
            raise TypeError
    return usage


def _id(line: Line) -> int:
    feature = line["feature"]
    if type(feature) is not int or not 0 <= feature < 2**63:
        raise TypeError
    return feature


def _text(line: Line, name: str) -> str:
    value = line[name]
    if not isinstance(value, str):
        raise TypeError
    return value
