"""How often `explain --diverse` invents a second meaning where one is planted, and misses one of two; calls a feature.

python -m benchmarks.meanings           # every table; a minute and a half of processor time
python -m benchmarks.meanings --quick   # a tenth of the features, to see that it runs; not for figures
python -m benchmarks.meanings --write   # also writes table.json, and the tables of docs/meanings.md from it
python -m benchmarks.meanings --others  # 80 features of each row on which nothing was chosen; only printed

The planted features, explainers and judges are in world.py. The column "before" of the tables is of table.json as it
is: `--write before` in a checkout of another version puts it there.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

from autointerp.candidates import alternatives
from autointerp.dump.reader import Dump
from autointerp.estimation.forecast import make_explainer
from autointerp.explanation.explainer import Explained
from autointerp.schema import Explanation
from autointerp.session.candidate_judges import asker
from autointerp.settings import CandidateSettings, ExplainSettings, ModelName, ModelSettings
from benchmarks.figures import put_tables
from benchmarks.meanings.world import (
    EXPLAINERS,
    JUDGES,
    KINDS,
    MIXING,
    N_IMAGES,
    SPLITTING,
    Errors,
    Kind,
    StandIn,
    means,
    plant,
)

HERE = Path(__file__).parent
JSON = HERE / "table.json"
PAGE = HERE.parent.parent / "docs/meanings.md"
FEATURES, QUICK, OTHERS = 100, 10, 80
PER_BAND = (2, 4, 8, 16, 32)
"""Rows of a band in dumps of several sizes."""
MODEL = ModelSettings(model=ModelName("m"))
DUMP = cast(Dump, SimpleNamespace(info=SimpleNamespace(patch_grid=None, active_above=0.0, n_images=N_IMAGES)))

Figures = dict[str, float]


class Cell(NamedTuple):
    """One row of a table."""

    kind: Kind
    explainer: str
    judge: Errors
    per_band: int = 8

    @property
    def name(self) -> str:
        """Its key in table.json."""
        return f"{self.kind.name} | {self.explainer} | {self.judge.name} | {self.per_band}"


RATES = tuple(Cell(*c) for c in product(KINDS, EXPLAINERS, JUDGES) if c[1] != SPLITTING or c[0] is KINDS[0])
POWER = tuple(Cell(kind, MIXING, JUDGES[2], n) for kind, n in product(KINDS, PER_BAND))


def explanation_of(cell: Cell, number: int, settings: ExplainSettings) -> tuple[Explanation, int]:
    """What becomes of one planted feature, and the calls that it took."""
    asks = asker(make_explainer(DUMP, MODEL, settings, None), DUMP, None)
    planted = plant(cell.kind, number, cell.per_band)
    gateway = StandIn(planted, cell.explainer, cell.judge, number)
    found = asyncio.run(asks.explain(planted.feature, planted.images, gateway))
    record = found.record if isinstance(found, Explained) else found
    assert isinstance(record, Explanation), record
    return record, gateway.calls


def measured(cell: Cell, numbers: range) -> Figures:
    """Means over the features of a cell that have these numbers.

    Returns:
        `named`: whether the candidates name all that is planted; `found`: whether the explanation names it too, and of
        those where the candidates did; `more`: whether several explanations are counted; `calls`; `active`: held-out
        active images used to choose. `plain` and `plain more` are of the concepts that one call names.
    """
    out: dict[str, list[float]] = {}
    diverse = ExplainSettings(candidates=CandidateSettings(diverse=True, embedder=None))
    for number in numbers:
        said, calls = explanation_of(cell, number, diverse)
        alone, _ = explanation_of(cell, number, ExplainSettings())
        assert said.sampled is not None
        truth, concepts = cell.kind.truth, {means(c) for c in alone.concepts}
        named = truth <= {means(c.text) for c in said.sampled.candidates}
        found = truth <= {means(text) for text in alternatives(said.text)}
        active = {e.image for e in plant(cell.kind, number, cell.per_band).feature.active}
        row = {
            "named": named,
            "found": found,
            "more": len(said.sampled.kept) > 1,
            "calls": calls,
            "active": len(active & set(said.sampled.judged_on)),
            "plain": truth <= concepts,
            "plain more": len(concepts) > 1,
        } | ({"found of named": found} if named else {})
        for name, value in row.items():
            out.setdefault(name, []).append(float(value))
    return {name: round(sum(values) / len(values), 3) for name, values in out.items()}


def tables(before: dict[str, Figures], after: dict[str, Figures]) -> dict[str, str]:
    """The page's tables as Markdown."""
    one = [c for c in RATES if not c.kind.second]
    two = [c for c in RATES if c.kind.second]

    def cells(chosen: Sequence[Cell], of: Callable[[Figures, Figures], tuple[str, ...]]) -> list[str]:
        found = [(c, before.get(c.name, {}), after[c.name]) for c in chosen]
        return [f"| {c.kind.name} | {c.explainer} | {c.judge.name} | {' | '.join(of(b, a))} |" for c, b, a in found]

    def invented(b: Figures, a: Figures) -> tuple[str, ...]:
        return _of(b, "more"), _of(a, "more"), _of(a, "plain more"), _of(b, "calls"), _of(a, "calls")

    def missed(b: Figures, a: Figures) -> tuple[str, ...]:
        both = (_of(a, "named"), _of(b, "found"), _of(a, "found"), _of(b, "found of named"), _of(a, "found of named"))
        return (*both, _of(a, "plain"), _of(b, "calls"), _of(a, "calls"))

    power = [
        f"| {per_band} | {own[1]['active']:.0f} | {' | '.join(_of(f, 'found of named') for f in own[1:])} | "
        f"{_of(own[0], 'more')} |"
        for per_band in PER_BAND
        if (own := [after[c.name] for c in POWER if c.per_band == per_band])
    ]
    return {
        "invented": _table(
            ["planted", "explainer", "judge", "several, before", "several, now", "plain", *CALLS], cells(one, invented)
        ),
        "missed": _table(
            ["planted", "explainer", "judge", "named", "found, before", "found, now", *OF_NAMED, "plain", *CALLS],
            cells(two, missed),
        ),
        "power": _table(["rows a band", "active images", "found, 1:1", "found, 3:1", "one meaning: several"], power),
    }


CALLS = ("calls, before", "calls, now")
OF_NAMED = ("of named, before", "of named, now")


def _table(head: Sequence[str], lines: Sequence[str]) -> str:
    return "\n".join((f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines))


def _of(figures: Figures, name: str) -> str:
    if name not in figures:
        return "—"
    return f"{figures[name]:.0f}" if name == "calls" else f"{figures[name]:.2f}".removeprefix("0")


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the features")
    parser.add_argument("--write", nargs="?", const="now", choices=("now", "before"), help="write table.json")
    parser.add_argument("--others", action="store_true", help=f"{OTHERS} features that come after those of the tables")
    asked = parser.parse_args()
    if asked.write and (asked.quick or asked.others):
        parser.error("--write takes the features of the tables; leave out --quick and --others, or --write")
    numbers = range(FEATURES, FEATURES + OTHERS) if asked.others else range(QUICK if asked.quick else FEATURES)
    found = {cell.name: measured(cell, numbers) for cell in dict.fromkeys((*RATES, *POWER))}
    kept: dict[str, dict[str, Figures]] = json.loads(JSON.read_text()) if JSON.exists() else {}
    kept |= {asked.write or "now": found}
    if asked.write:
        JSON.write_text(json.dumps(kept, indent=1) + "\n")
    made = tables({} if asked.others else kept.get("before", {}), kept.get("now", found))
    if asked.write == "now":
        put_tables(PAGE, made, "meanings")
    print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
