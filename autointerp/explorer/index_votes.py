"""Votes of a run as an index needs them: of each person the last on the explanation that a feature has now."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from autointerp.explorer.index_columns import Ints
from autointerp.explorer.index_lines import Columns, Reader
from autointerp.runs.votes import Verdict, digest_of

VERDICTS: tuple[str, ...] = get_args(Verdict)


def votes(read: Reader) -> Columns:
    """Of each line that is a vote: digest of the text that was voted on, who, verdict. Other lines are passed over."""
    out = Columns()
    for at, line in read.lines():
        feature, text, who, verdict = (line.get(name) for name in ("feature", "explanation", "name", "verdict"))
        if (
            type(feature) is int
            and 0 <= feature < 2**63
            and isinstance(text, str)
            and isinstance(who, str)
            and verdict in VERDICTS
        ):
            out.places.append(at)
            out.features.append(feature)
            out.values.append((text, who, verdict))
    return out


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts people by what they say of features."""

    features: Ints
    """Places, ascending."""
    columns: dict[str, list[int]]
    """By verdict."""


def counted(file: sqlite3.Connection, features: Sequence[int]) -> Counted:
    """Counts the votes on the explanations that some features have now."""
    found = [_of_one(file, feature) for feature in features]
    return Counted(np.array(features, np.int64), {v: [votes[v] for votes in found] for v in VERDICTS})


def voted(file: sqlite3.Connection, features: Ints) -> list[int]:
    """Which of some features anybody has voted on."""
    known = [feature for (feature,) in file.execute("SELECT DISTINCT feature FROM votes")]
    return np.intersect1d(np.array(known, np.int64), features).tolist()


def _of_one(file: sqlite3.Connection, feature: int) -> Counter[str]:
    text = file.execute("SELECT CAST(text AS TEXT) FROM said WHERE rowid = ?", (feature,)).fetchone()
    now = digest_of(text[0]) if text and text[0] else ""
    asked = "SELECT verdict, count(*) FROM votes WHERE feature = ? AND explanation = ? GROUP BY verdict"
    return Counter(dict(file.execute(asked, (feature, now)).fetchall()))
