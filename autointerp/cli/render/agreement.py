"""Prints how far the judges of a run agree."""

from collections.abc import Iterator

from rich.table import Table

from autointerp.cli.printing import plural, table
from autointerp.errors import typed
from autointerp.jobs.agreement import JudgePair, JudgesCompared
from autointerp.statistics.agreement import Agreed
from autointerp.statistics.comparison import Estimate


def lines_of(found: JudgesCompared) -> Iterator[Table | str]:
    """The comparison in words and as tables: where there are several pairs, each in a row, then each by itself."""
    yield f"judges of {found.run}: {', '.join(found.judges)}"
    if len(found.pairs) > 1:
        rows = [(pair.first, pair.second, *_cells(pair.overall, with_rates=False)) for pair in found.pairs]
        yield table(("judge", "judge", "questions", "features", "equal [95 %]", "kappa [95 %]"), rows, left=2)
    for pair in found.pairs:
        yield ""
        yield from _pair(pair)
    yield from (f"note: {note}" for note in found.notes)
    if found.calibration is not None:
        yield f"calibration of {' '.join(pair.first for pair in found.pairs)} -> {found.calibration}"
        yield f"next: autointerp score {typed(found.run)} --calibration {typed(found.calibration)}, with the same judge"


def _pair(pair: JudgePair) -> Iterator[Table | str]:
    yield _sentence(pair)
    with_rates = pair.reference is not None
    headings = ["", "questions", "features", "equal [95 %]", "kappa [95 %]"]
    if with_rates:
        headings += ["sensitivity [95 %]", "yes", "specificity [95 %]", "no"]
    rows = [("overall", *_cells(pair.overall, with_rates=with_rates))]
    rows += [(f"  {name}", *_cells(own, with_rates=with_rates)) for name, own in pair.strata.items()]
    yield table(headings, rows)
    yield from _left(pair)


def _sentence(pair: JudgePair) -> str:
    """Says how far two judges agree."""
    o = pair.overall
    if o.equal is None:
        return f"{pair.first} and {pair.second} decided no question in common"
    said = f"{pair.first} and {pair.second} agree on {o.equal.value:.1%} of {plural(o.n, 'question')}"
    kappa = "no kappa, since both always said the same" if o.kappa is None else f"kappa {_interval(o.kappa)}"
    if pair.reference is None:
        return f"{said}, {kappa}"
    return (
        f"{said}, {kappa}; held against {pair.reference}, {pair.first} has sensitivity {_interval(o.sensitivity)} and "
        f"specificity {_interval(o.specificity)}"
    )


def _left(pair: JudgePair) -> Iterator[str]:
    """Says which questions the figures leave out, or count in part."""
    for name, unsure, unanswered, alone in (
        (pair.first, pair.unsure_first, pair.unanswered_first, pair.only_first),
        (pair.second, pair.unsure_second, pair.unanswered_second, pair.only_second),
    ):
        parts = [f"{n:,} {what}" for n, what in ((unsure, "unsure"), (unanswered, "unanswered")) if n]
        if parts:
            yield f"  {name}: {', '.join(parts)} of {plural(pair.questions, 'question')} that both were asked"
        if alone:
            yield f"  {name} alone was asked {plural(alone, 'more question')}"


def _cells(found: Agreed, *, with_rates: bool) -> tuple[str, ...]:
    cells = (f"{found.n:,}", f"{found.features:,}", _interval(found.equal), _interval(found.kappa))
    if not with_rates:
        return cells
    sensitivity, specificity = _interval(found.sensitivity), _interval(found.specificity)
    return (*cells, sensitivity, f"{found.n_true:,}", specificity, f"{found.n_false:,}")


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
