"""The paper's claims: differences between dictionaries with intervals over training seeds, and what comes of them."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from autointerp.statistics.rates import Interval, mean_interval
from benchmarks.paper.figures import Row
from benchmarks.paper.names import FRESH, FROZEN, MS, MT, RAW, TS, TT, TUNED

Verdict = Literal["held", "not held", "cannot be told"]
Measure = Callable[[Row], float | None]
OURS = f"{TUNED}-{MT}"
FORMS_BESIDE = tuple(f"{TUNED}-{form}" for form in (TT, MS, TS))
CHANGE = (-1.0, 1.0)
"""The least and the greatest difference of shares, and of scores between 0 and 1."""


class Claim(NamedTuple):
    """A sentence, and the figure that it is about."""

    text: str
    unit: float
    """By what the figure is multiplied in the table: 100 for per cent."""
    measure: Measure
    against: tuple[str, ...]
    """Dictionaries that the Matryoshka transcoder's figure must exceed; none where it must exceed 0."""


class Judgement(NamedTuple):
    """A claim and what comes of it."""

    claim: Claim
    differences: dict[str, Interval | None]
    """By dictionary, with 95 % intervals over seeds; by the empty name the figure itself; None without a value."""
    verdict: Verdict


def _relevant(row: Row) -> float:
    return row.relevance.value - row.relevance.shuffled


def _associated(row: Row) -> float:
    return row.associated.value


def _coarser(of: Literal["fires", "generality"]) -> Measure:
    def measure(row: Row) -> float | None:
        first, last = (getattr(band, of) for band in (row.bands[0], row.bands[-1]))
        return None if first is None or last is None else first - last

    return measure


def _best(row: Row) -> float:
    return float(np.mean([b.auroc.value for b in row.best if b.width == row.n_latents]))


def _later(row: Row) -> float:
    """What the whole dictionary's best AUROC is above that of the first prefix, the mean over kinds of error."""
    first = [b.auroc.value for b in row.best if b.width == row.bands[0].width]
    return _best(row) - float(np.mean(first))


CLAIMS = (
    Claim("More of its features are relevant (as published, less chance)", 100, _relevant, FORMS_BESIDE),
    Claim("More of its features go with errors (tested)", 100, _associated, FORMS_BESIDE),
    Claim("More than of the layer's own units (tested)", 100, _associated, (RAW,)),
    Claim("More than if the network was not taught what an error is (tested)", 100, _associated, (f"{FROZEN}-{MT}",)),
    Claim("More than if the network had random weights (tested)", 100, _associated, (f"{FRESH}-{MT}",)),
    Claim("Its explanations are more accurate (as published)", 1, lambda r: r.accuracy, FORMS_BESIDE),
    Claim("Its explanations are better (weighted F1)", 1, lambda r: r.f1, FORMS_BESIDE),
    Claim("Its best latents find errors better (mean AUROC)", 1, _best, FORMS_BESIDE),
    Claim("Better than the layer's own units", 1, _best, (RAW,)),
    Claim("Better than if the network was not taught", 1, _best, (f"{FROZEN}-{MT}",)),
    Claim("Better than if the network had random weights", 1, _best, (f"{FRESH}-{MT}",)),
    Claim("Coarse to fine: its first 128 latents fire on more images than its last 1,536", 100, _coarser("fires"), ()),
    Claim("Coarse to fine: their explanations are true of more images", 100, _coarser("generality"), ()),
    Claim("Later latents find errors that the first 128 do not (mean AUROC)", 1, _later, ()),
)


def judgements(rows: Sequence[Row]) -> list[Judgement]:
    """Judges all claims."""
    return [_judged(claim, rows) for claim in CLAIMS]


def _judged(claim: Claim, rows: Sequence[Row]) -> Judgement:
    ours = [claim.measure(row) for row in of_name(rows, OURS)]
    if not claim.against:
        differences = {"": over_seeds(ours)}
    else:
        differences = {
            name: _difference(ours, [claim.measure(r) for r in of_name(rows, name)]) for name in claim.against
        }
    return Judgement(claim, differences, verdict(list(differences.values())))


def of_name(rows: Sequence[Row], name: str) -> list[Row]:
    """Returns the dictionaries of one network and form, in the order of their seeds."""
    return [row for row in rows if row.name == name or row.name.rpartition("-")[0] == name]


def _difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Interval | None:
    # The layer's own units have no seed: each of ours is compared with the same figure.
    beside = list(theirs) * len(ours) if len(theirs) == 1 else theirs
    return over_seeds([None if a is None or b is None else a - b for a, b in zip(ours, beside, strict=True)])


def over_seeds(values: Sequence[float | None], bounds: tuple[float, float] = CHANGE) -> Interval | None:
    """Computes the mean over seeds with its t interval, clipped to bounds; None where a seed has no value."""
    known = [v for v in values if v is not None]
    if len(known) < len(values) or not known:
        return None
    return mean_interval(np.array(known, np.float64), bounds)


def verdict(differences: Sequence[Interval | None]) -> Verdict:
    """Says `held` where all intervals lie above 0, `not held` where one lies below it."""
    if any(d is not None and d.high < 0 for d in differences):
        return "not held"
    return "held" if all(d is not None and d.low > 0 for d in differences) else "cannot be told"
