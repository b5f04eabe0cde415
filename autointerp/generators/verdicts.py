"""Which images a judge looks at, and what was said of them: a table that a person can fill in."""

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.errors import SettingsError, plain_cell
from autointerp.processes import draft_of
from autointerp.statistics.clusters import Looked
from autointerp.statistics.rates import Bools, Ints

COLUMNS = ("sha256", "mode", "says", "picture", "answer")
"""None tells the generator or whether the mode is on, so that whoever answers does not know."""
BELIEF = {"yes": 1.0, "no": 0.0, "unsure": 0.5}
Key = tuple[str, str]
"""SHA-256 of the image's file, and mode."""


class Asked(NamedTuple):
    """An image and a mode that a judge is asked about."""

    generator: str
    sha256: str
    mode: str
    says: str
    """What the mode is, in words."""
    on: bool

    @property
    def key(self) -> Key:
        """Returns what an answer is known by, whichever generators the image is of."""
        return self.sha256, self.mode


def drawn(images: Sequence[str], on: Bools, mode: str, *, n_fired: int, n_silent: int, seed: int) -> tuple[Ints, Ints]:
    """Draws images on which a mode is on, and others; an image's place in the draw depends on itself alone.

    So the images of one generator are the same whichever others there are.

    Args:
        images: SHA-256 of each, [n].
        on: [n].
        mode: its id.
        n_fired: how many of those on which it is on, at most.
        n_silent: how many of the others, at most.
        seed: of the draw.
    """
    # Copies of one file are drawn each by itself, so that one that stands fifty times does not fill the sample.
    seen: Counter[str] = Counter()
    names = []
    for sha in images:
        names.append(f"{sha} {seen[sha]}" if seen[sha] else sha)
        seen[sha] += 1
    keys = [hashlib.sha256(f"{seed} {mode} {name}".encode()).hexdigest() for name in names]
    order = np.array(sorted(range(len(images)), key=lambda i: (keys[i], i)), np.int64)
    return order[on[order]][:n_fired], order[~on[order]][:n_silent]


def looked(asked: Sequence[Asked], said: Mapping[Key, float]) -> tuple[Looked, int]:
    """Counts what was said of some images; and those of which nothing was."""
    found = [said.get(one.key) for one in asked]
    known = [belief for belief in found if belief is not None]
    files = Counter(one.sha256 for one, belief in zip(asked, found, strict=True) if belief is not None)
    copies = sum(m * m for m in files.values()) / max(1, len(known))
    return Looked(sum(known), len(known), max(1.0, copies)), len(found) - len(known)


def write_questions(
    path: Path, asked: Sequence[Asked], said: Mapping[Key, float], pictures: Mapping[str, str]
) -> Path | None:
    """Writes the table that a judge fills in, with the answers that are known.

    An image is asked about once for each mode, in the order of digests, which has nothing to do with generators or with
    what fires.

    Args:
        path: of the table.
        asked: the sample.
        said: the answers that are known.
        pictures: where each image can be seen, by its SHA-256.

    Returns:
        Where a table that was there is now, if it held answers that the new one has not: somebody's work. Else None.

    Raises:
        SettingsError: it cannot be written.
    """
    words = {belief: word for word, belief in BELIEF.items()}
    says = {one.mode: one.says for one in asked}
    rows = {key: words[said[key]] if key in said else "" for key in sorted({one.key for one in asked}, key=_by_mode)}
    draft, aside = draft_of(path), None
    try:
        if any(rows.get(key) != answer for key, answer in _answers_in(path)):
            aside = _free_name(path)
            path.replace(aside)
        with draft.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for (sha, mode), answer in rows.items():
                table.writerow([sha, mode, plain_cell(says[mode]), pictures.get(sha, ""), answer])
        draft.replace(path)
    except OSError as e:
        raise SettingsError(f"{path}: cannot be written: {e.strerror}") from e
    return aside


def _by_mode(key: Key) -> tuple[str, str]:
    return key[1], key[0]


def _answers_in(path: Path) -> list[tuple[Key, str]]:
    """What a table that is there says, in its own words; one that cannot be read says something that is not known."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        found = [((row["sha256"], row["mode"]), row["answer"].strip().lower()) for row in rows]
    except (UnicodeDecodeError, csv.Error, KeyError, AttributeError):
        return [(("", ""), "")]
    return [(key, answer) for key, answer in found if answer]


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(1))
    return next(name for name in names if not name.exists())


def read_verdicts(path: Path, modes: Sequence[str]) -> dict[Key, float]:
    """Reads a table of answers: columns sha256, mode and answer (yes, no, unsure or nothing), and any others.

    Raises:
        SettingsError: it cannot be read; names the row.
    """
    said: dict[Key, float] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [c for c in ("sha256", "mode", "answer") if c not in (table.fieldnames or ())]
            if missing:
                raise SettingsError(f"--verdicts {path}: has no column {missing[0]!r}; take to-judge.csv of a result")
            for number, row in enumerate(table, start=1):
                _put(said, row, modes, f"--verdicts {path}: row {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise SettingsError(f"--verdicts {path}: cannot be read: {e}") from e
    return said


def _put(said: dict[Key, float], row: Mapping[str, str | None], modes: Sequence[str], where: str) -> None:
    answer, mode = (row["answer"] or "").strip().lower(), row["mode"] or ""
    if mode not in modes:
        raise SettingsError(f"{where}: mode {mode[:80]!r}: the pack has none of that name")
    if not answer:
        return
    if answer not in BELIEF:
        raise SettingsError(f"{where}: answer {answer[:40]!r}: expected yes, no, unsure or nothing")
    key = ((row["sha256"] or "").strip(), mode)
    if said.setdefault(key, BELIEF[answer]) != BELIEF[answer]:
        raise SettingsError(f"{where}: says another thing of the same image and mode than a row above")
