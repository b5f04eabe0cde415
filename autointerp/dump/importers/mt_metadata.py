"""Reads `feature_N/` as Matryoshka-Transcoders' populate.py writes it: copies of images, and `metadata.txt`.

Five lines stand before the ranks, and a rank names `data set/file`. The copy of an image is called after its path,
`./datasets/SET/FILE`, with `_` for `/`: all of them begin with `._`, as what macOS leaves beside a file does.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autointerp.errors import DumpError, one_line
from autointerp.images.formats import why_no_image

METADATA = "metadata.txt"
UNNAMED = "images that metadata.txt does not name"
LACKING = "images that metadata.txt names and the folder lacks, so that their features have no silent images"
OVERWRITTEN = "images whose copy was overwritten by another's of the same name"
LEAST = 5e-7
"""What is written as 0.000000 is less than this, and above 0."""
N_VOTERS = 50
_HEAD = (
    re.compile(r"Feature (\d{1,9})"),
    re.compile(r"Total activations: (\d{1,12})"),
    re.compile(r"Top (\d{1,9}) activations saved"),
    re.compile(""),
    re.compile("Activation values:"),
)
_RANK = re.compile(r"(?P<rank>\d+)\. (?P<value>\S+) - (?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image as one line of metadata.txt names it."""

    name: str
    """`data set/file`, which no other image has."""
    activation: float
    """Above 0."""
    file: Path | None
    """Its copy; None where it is not there."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a feature's folder says."""

    total: int
    """Images that fire it."""
    ranked: tuple[Ranked, ...]
    """The strongest first."""
    left_out: tuple[tuple[str, Path], ...]
    """Files, with why they are left out."""

    @property
    def complete(self) -> bool:
        """Whether every image that fires it is there."""
        return self.total == len(self.ranked) and all(one.file is not None for one in self.ranked)


def is_mt(folder: Path) -> bool:
    """Whether a feature's folder is as populate.py writes it."""
    try:
        with (folder / METADATA).open(encoding="utf-8-sig") as file:
            lines = [file.readline().rstrip("\r\n") for _ in _HEAD[:3]]
    except (OSError, UnicodeDecodeError):
        return False
    return all(form.fullmatch(line) for form, line in zip(_HEAD, lines, strict=False))


def read_feature(folder: Path, number: int) -> Told:
    """Reads one folder.

    Args:
        folder: `feature_N`.
        number: N.

    Raises:
        DumpError: there is no metadata.txt, or it is not as the script writes it.
    """
    path = folder / METADATA
    try:
        lines = path.read_text("utf-8-sig").splitlines()
        present = sorted(file.name for file in folder.iterdir() if file.name != METADATA)
    except FileNotFoundError:
        raise DumpError(f"{folder}: has no {METADATA}; without it use `autointerp import folder`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DumpError(f"{path}: cannot be read: {one_line(str(error))}; expected UTF-8 text") from error
    feature, total, saved = _head(path, lines)
    if feature != number:
        raise DumpError(f"{path}:1: is of feature {feature}, and its folder of {number}; the folder was renamed")
    ranks = [_rank(f"{path}:{at}", line) for at, line in enumerate(lines, 1) if at > len(_HEAD) and line.strip()]
    if len(ranks) != saved or total < saved:
        raise DumpError(
            f"{path}: says that {saved} of {total} activations are saved, and lists {len(ranks)}; copy it again"
        )
    return _with_files(folder, present, ranks, total)


def _head(path: Path, lines: Sequence[str]) -> tuple[int, int, int]:
    numbers: list[int] = []
    for at, form in enumerate(_HEAD):
        line = lines[at].strip() if at < len(lines) else ""
        match = form.fullmatch(line)
        if match is None:
            raise DumpError(
                f"{path}:{at + 1}: {one_line(line)[:80]!r} is not what populate.py writes there, such as `Feature 12`, "
                "`Total activations: 340`, `Top 20 activations saved`; else use `autointerp import folder`"
            )
        numbers += map(int, match.groups())
    return numbers[0], numbers[1], numbers[2]


def _rank(where: str, line: str) -> tuple[str, float]:
    match = _RANK.fullmatch(line.strip())
    try:
        value = float(match["value"]) if match else math.nan
    except ValueError:
        value = math.nan
    if match is None or not (math.isfinite(value) and value >= 0):
        raise DumpError(f"{where}: {one_line(line)[:80]!r} is not of the form `rank. activation - data set/file`")
    name = match["name"]
    if ".." in name.split("/") or "\0" in name:
        raise DumpError(f"{where}: names {one_line(name)[:80]!r}, which leads out of the data sets; mend the line")
    return name, value or LEAST


def _with_files(folder: Path, present: Sequence[str], ranks: Sequence[tuple[str, float]], total: int) -> Told:
    copies = {name: name.replace("/", "_") for name, _ in ranks}
    if len(copies) < len(ranks):
        twice = next(name for name, n in Counter(name for name, _ in ranks).items() if n > 1)
        raise DumpError(f"{folder / METADATA}: names {twice!r} twice; the file is not as populate.py writes it")
    prefix, there = _prefix(present, [*copies.values()][:N_VOTERS]), frozenset(present)
    # The copy of a weaker image was written later.
    holder = {copy: name for name, copy in copies.items()}
    ranked: list[Ranked] = []
    gone: list[tuple[str, Path]] = []
    for name, activation in ranks:
        file = folder / (prefix + copies[name])
        found = file.name in there and holder[copies[name]] == name
        if not found:
            gone.append((OVERWRITTEN if file.name in there else LACKING, file))
        ranked.append(Ranked(name, activation, file if found else None))
    named = {prefix + copy for copy in copies.values()}
    others = [folder / name for name in present if name not in named]
    gone += [(why_no_image(path) or UNNAMED, path) for path in others]
    return Told(total, tuple(ranked), tuple(gone))


def _prefix(present: Sequence[str], copies: Sequence[str]) -> str:
    """What the names of all copies begin with: what most begin with, the shortest of several.

    Beside `._datasets_a_1.png` macOS may have left `._._datasets_a_1.png`, and a data set `b_a` `._datasets_b_a_1.png`.
    """
    votes = Counter(prefix for prefix in _prefixes(present, copies))
    return min(votes, key=lambda prefix: (-votes[prefix], len(prefix)), default="")


def _prefixes(present: Sequence[str], copies: Sequence[str]) -> Iterator[str]:
    for copy in copies:
        for name in present:
            if name == copy or name.endswith(f"_{copy}"):
                yield name.removesuffix(copy)
