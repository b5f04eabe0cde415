"""A folder of static pages of a run: one page, and the features in shards of JSON that its script fetches as needed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from jinja2 import Template

from autointerp.exports.crops import Crops, strongest
from autointerp.exports.table import STATES, FeatureTable, Found, Written
from autointerp.reports.arithmetic import Axis
from autointerp.reports.cards import fires_on
from autointerp.reports.controls import Banner
from autointerp.reports.labels import headline_of, scorer_labels
from autointerp.reports.page import TEMPLATES, environment
from autointerp.reports.score_details import CHANCE, axis_of
from autointerp.schema import Exemplar, Feature, Scored

PER_INDEX = 5_000
"""Features of a file that the list and the search read."""
PER_CARDS = 50
"""Features of a file that their cards are read from."""
PER_FOLDER = 1_000
"""Pictures in a folder."""
COLUMNS = 4
"""Crops in a row of a feature's picture."""
GROUND = (226, 226, 226)
STATIC = ("report.css", "site.css", "site.js")


@dataclass(frozen=True, slots=True)
class About:
    """Is what the page says of the run as a whole."""

    title: str
    facts: Mapping[str, str]
    notes: Sequence[str]
    banner: Banner | None
    """Whether the explanations beat their controls; None where nothing is scored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Says how scores are drawn, as the report's templates want it."""

    headline: str | None
    """The scorer by which features are ranked, as its columns begin."""
    scorer: str | None
    axes: Mapping[str, Axis]
    """One for each scorer."""


def write_site(table: FeatureTable, out: Path, crops: Crops, *, n_pictures: int, about: About) -> Written:
    """Writes the pages.

    Args:
        table: of the run.
        out: an empty folder.
        crops: makes the pictures.
        n_pictures: the most crops of a feature.
        about: what stands above the features.
    """
    plan = _plan(table)
    card = environment().get_template("site_card.html.j2")
    index, cards = _Shards(out / "index", PER_INDEX), _Shards(out / "cards", PER_CARDS)
    for n, (found, feature) in enumerate(table.evidence()):
        shown = strongest(feature, n_pictures)
        place = f"pictures/{n // PER_FOLDER:04d}/{feature.id}.jpg" if shown else ""
        if place:
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            crops.sheet(shown, COLUMNS, GROUND).save(out / place, "JPEG", quality=70)
        index.add(_line(found, plan, len(shown)))
        cards.add(_card(card, table, found, feature, plan, _Sheet(place, shown, crops.side)))
    index.close()
    cards.close()
    _write_page(table, out, plan, about)
    return Written(len(table.features), broken=crops.broken)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Is a feature's picture in its place."""

    path: str
    shown: Sequence[Exemplar]
    side: int

    @property
    def width(self) -> int:
        return self.side * min(COLUMNS, len(self.shown))

    @property
    def height(self) -> int:
        return self.side * -(-len(self.shown) // COLUMNS)


class _Shards:
    """Writes values to numbered files, so many in each."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._held: list[object] = []
        self._n = 0
        folder.mkdir()

    def add(self, value: object) -> None:
        """Takes one value more."""
        self._held.append(value)
        if len(self._held) == self._size:
            self.close()

    def close(self) -> None:
        """Writes what is held."""
        if self._held:
            text = json.dumps(self._held, ensure_ascii=False, separators=(",", ":"))
            (self._folder / f"{self._n:05d}.json").write_text(text, encoding="utf-8", errors="replace")
            self._held, self._n = [], self._n + 1


def _plan(table: FeatureTable) -> Plan:
    spans: dict[str, _Span] = {}
    for batch in table.batches():
        for key, prefix in table.prefixes.items():
            span = spans.setdefault(key.scorer, _Span())
            span.add(_known(batch, f"{prefix}_value"), _known(batch, f"{prefix}_control_{CHANCE}"))
    axes = {scorer: axis_of(scorer, s.high, s.low, s.chance) for scorer, s in spans.items()}
    scorer = headline_of([scorer for scorer, s in spans.items() if s.low <= s.high])
    headline = next((prefix for key, prefix in table.prefixes.items() if key.scorer == scorer), None)
    return Plan(headline, scorer, axes)


@dataclass(slots=True)
class _Span:
    """Is what was read so far of a scorer's values, and of what guessing scores."""

    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    n: int = 0

    def add(self, values: list[float], guessed: list[float]) -> None:
        """Takes the values of some features."""
        self.low, self.high = min([self.low, *values]), max([self.high, *values])
        self.total, self.n = self.total + sum(guessed), self.n + len(guessed)

    @property
    def chance(self) -> float | None:
        """What guessing scores on average; None where the scores do not say."""
        return self.total / self.n if self.n else None


def _known(batch: pa.RecordBatch, name: str) -> list[float]:
    """The values of a column, without nulls; none where there is no such column."""
    return batch[name].drop_null().to_pylist() if name in batch.schema.names else []


def _line(found: Found, plan: Plan, n_pictures: int) -> list[object]:
    """A feature's row of the index, whose columns site.js names in this order; `more` is searched and not shown."""
    row, e = found.row, found.explanation
    more = [] if e is None else [*(c for c in e.concepts if c != e.text), e.domain.text if e.domain else ""]
    scores = [row.get(f"{plan.headline}_{name}") for name in ("value", "low", "high")]
    text = e.text if e is not None else row.get("reason") or ""
    known = [row[name] for name in ("width", "density")]
    return [row["feature"], row["state"], text, " ".join(filter(None, more)), *known, *scores, n_pictures]


def _card(template: Template, table: FeatureTable, found: Found, feature: Feature, plan: Plan, sheet: _Sheet) -> str:
    prefixes = table.prefixes
    failed = [
        (prefix, found.row[f"{prefix}_reason"])
        for prefix in (*prefixes.values(), *table.failing.values())
        if found.row.get(f"{prefix}_status") == "failed"
    ]
    return template.render(
        found=found,
        row=feature.row,
        fires_on=fires_on(table.dump.info, feature.row.n_active),
        scores=[found.scores[key] for key in prefixes if key in found.scores],
        judges={score.judge for score in found.scores.values() if isinstance(score, Scored)},
        failed=failed,
        plan=plan,
        sheet=sheet,
        active_above=table.dump.info.active_above,
    )


def _write_page(table: FeatureTable, out: Path, plan: Plan, about: About) -> None:
    page = (
        environment()
        .get_template("site.html.j2")
        .render(
            about=about,
            plan=plan,
            n=len(table.features),
            states=STATES,
            widths=table.dump.info.widths,
            label=scorer_labels(plan.scorer) if plan.scorer else None,
            sizes={"total": len(table.features), "index": PER_INDEX, "cards": PER_CARDS, "folder": PER_FOLDER},
            side=COLUMNS,
        )
    )
    (out / "index.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
    for name in STATIC:
        (out / name).write_bytes((TEMPLATES / name).read_bytes())
