"""A benchmark as one self-contained HTML page: who fails how, by how much, and what that looks like."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from autointerp.generators.records import Estimated, Rate
from autointerp.generators.result import OpenedResult
from autointerp.generators.results import ANY, ModeRef, OfSet, Pair, Result, Strong
from autointerp.reports.benchmark_plots import is_judged, number, percent, points
from autointerp.reports.drawing import Drawing
from autointerp.reports.page import TEMPLATES, environment

MOST_FINDINGS = 4
MOST_PICTURE = 2 << 20
"""Bytes of a picture, at most."""
TIMES = 1.2
"""From this ratio on, how many times as often is said."""


class Page(NamedTuple):
    """A page, and what could not be shown in it."""

    html: str
    missing: int
    """Pictures that are named and not there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Says a difference in words."""

    pair: Pair
    mode: ModeRef
    more: OfSet
    less: OfSet

    @property
    def times(self) -> str:
        """How many times as often as the other, where that can be said."""
        low, high = (self._rate(s).value for s in (self.less, self.more))
        if low <= 0:
            return "does, unlike"
        return f"{high / low:.1f} times as often as" if high / low >= TIMES else "more often than"

    @property
    def points(self) -> str:
        """The difference, more less the other, in percentage points, with its interval."""
        d = self.pair.difference if self.pair.judged is None else self.pair.judged
        sign = 1 if self.pair.b == self.more.name else -1
        low, high = sorted((100 * sign * d.low, 100 * sign * d.high))
        return f"{100 * sign * d.value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"

    @property
    def rates(self) -> str:
        """Both rates: of what the images show by the judge's word, else of what fires."""
        more, less = (self._rate(s) for s in (self.more, self.less))
        said = "by the judge's word it is in" if self.pair.judged is not None else "it fires on"
        return f"{said} {percent(more)} of its images, against {percent(less)}"

    @property
    def q(self) -> float:
        """The smallest false discovery rate at which it is a finding."""
        return self.pair.q if self.pair.judged_q is None else self.pair.judged_q

    def _rate(self, one: OfSet) -> Rate | Estimated:
        own = one.modes[self.mode.id]
        return own.rate if own.judged is None or self.pair.judged is None else own.judged


@dataclass
class _Pictures:
    """The pictures of a page, each of which is in it once."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def key(self, strong: Strong) -> str | None:
        """Returns what a picture is called in the page; None where it is not there."""
        if strong.file not in self.keys and strong.file not in self.missing:
            path = self.folder / strong.file
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_PICTURE:
                self.keys[strong.file] = f"p{len(self.keys)}"
            else:
                self.missing.add(strong.file)
        return self.keys.get(strong.file)

    def embedded(self, strongest: Sequence[Strong]) -> Iterator[tuple[str, str, int, int]]:
        """Yields each picture: its key, its bytes in base64, and its size."""
        sizes = {s.file: (s.width, s.height) for s in strongest}
        for file, key in self.keys.items():
            yield key, base64.b64encode((self.folder / file).read_bytes()).decode("ascii"), *sizes[file]


def page_of(opened: OpenedResult, title: str, plots: Mapping[str, Drawing]) -> Page:
    """Makes the page.

    Args:
        opened: the result.
        title: of the page.
        plots: by name.
    """
    result, pictures = opened.result, _Pictures(opened.folder)
    shown = [(s, key) for s in result.strongest if (key := pictures.key(s)) is not None]
    strips: dict[str, dict[str, list[tuple[Strong, str]]]] = {}
    for strong, key in shown:
        strips.setdefault(strong.mode, {}).setdefault(strong.set, []).append((strong, key))
    html = (
        environment()
        .get_template("benchmark.html.j2")
        .render(
            style=Markup((TEMPLATES / "benchmark.css").read_text(encoding="utf-8")),
            title=title,
            r=result,
            digest=opened.digest,
            findings=findings(result),
            plots={name: Markup(drawing.svg()) for name, drawing in plots.items()},
            strips=strips,
            pictures=list(pictures.embedded(result.strongest)),
            ranks={one.name: one for one in result.ranks},
            names={m.id: m.name for m in result.modes},
            pairs=sorted(result.pairs, key=_order),
            all_judged=is_judged(result),
            judged=any(s.judged_per_image is not None for s in result.sets),
            percent=percent,
            number=number,
            points=points,
            ANY=ANY,
        )
    )
    return Page(html, len(pictures.missing))


def findings(result: Result) -> list[Finding]:
    """Lists the largest differences in single modes that are findings, at first one of each mode and generator."""
    sets, modes = {s.name: s for s in result.sets}, {m.id: m for m in result.modes}
    found = [p for p in result.pairs if p.kind == "mode" and p.is_finding(result.made.level)]
    found.sort(key=lambda p: -abs(_value(p)))
    made = [_finding(p, sets, modes) for p in found]
    first: dict[tuple[str, str], Finding] = {}
    for one in made:
        first.setdefault((one.mode.id, one.more.name), one)
    rest = [one for one in made if one not in first.values()]
    return [*first.values(), *rest][:MOST_FINDINGS]


def _finding(pair: Pair, sets: Mapping[str, OfSet], modes: Mapping[str, ModeRef]) -> Finding:
    more, less = (pair.b, pair.a) if _value(pair) > 0 else (pair.a, pair.b)
    return Finding(pair, modes[pair.what], sets[more], sets[less])


def _order(pair: Pair) -> tuple[float, float]:
    return pair.q if pair.judged_q is None else pair.judged_q, -abs(_value(pair))


def _value(pair: Pair) -> float:
    return pair.difference.value if pair.judged is None else pair.judged.value
