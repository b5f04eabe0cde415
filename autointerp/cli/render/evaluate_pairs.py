"""Prints what `autointerp train evaluate --pairs` found."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from autointerp.cli.printing import table
from autointerp.transcoder.estimate import Estimate
from autointerp.transcoder.evaluation import CoderFigures
from autointerp.transcoder.pair_figures import AskedPairs, AttributeMatch, CoderPairs, PairFigures


def pair_tables(asked: AskedPairs, coders: Sequence[CoderFigures]) -> Iterator[Table]:
    """Makes a table of all coders, and for each one a table by attribute and one by prefix."""
    yield _all(asked, coders)
    for coder in coders:
        if coder.pairs is not None:
            yield _by_attribute(coder.coder, coder.pairs.own)
            if len(coder.pairs.own.prefixes) > 1:
                yield _by_prefix(coder.coder, coder.pairs.own)


def _all(asked: AskedPairs, coders: Sequence[CoderFigures]) -> Table:
    rows = (row for coder in coders if coder.pairs is not None for row in _rows(coder.coder, coder.pairs))
    headings = ("coder", "first latents", "selectivity, 95 %", "attributes found", "less untrained", "less raw units")
    n = sum(a.n_held_out for a in asked.attributes)
    return table(headings, rows, title=f"What {n:,} held-out pairs differ in: {len(asked.attributes):,} attributes")


def _rows(name: str, found: CoderPairs) -> Iterator[tuple[str, ...]]:
    above = found.above_untrained
    for i, prefix in enumerate(found.own.prefixes):
        last = i == len(found.own.prefixes) - 1
        yield (
            "" if i else name,
            f"{prefix.width:,}",
            _figure(prefix.selectivity),
            f"{prefix.n_found:,}",
            _figure(above[i], "+.2f") if above else "",
            _figure(found.above_raw, "+.2f") if last and found.above_raw else "",
        )
    for what, other in (("untrained", found.untrained), ("raw units", found.raw)):
        if other is not None:
            whole = other.prefixes[-1]
            yield f"  {what}", f"{whole.width:,}", _figure(whole.selectivity), f"{whole.n_found:,}"


def _by_attribute(name: str, found: PairFigures) -> Table:
    rows = ((match.attribute, *_cells(match), f"{match.n_latents:,}") for match in found.prefixes[-1].attributes)
    measured = ("raised, 95 %", "lowered", "others", "selectivity, 95 %", "q", "found")
    headings = ("attribute", "latents", *measured, "alone")
    return table(headings, rows, title=f"{name}: the latents that respond to an attribute together", left=2)


SHOWN = 4
"""Latents of a coalition that the table names at most."""


def _members(latents: Sequence[int]) -> str:
    more = len(latents) - SHOWN
    return " ".join(map(str, latents[:SHOWN])) + (f" +{more}" if more > 0 else "")


def _cells(match: AttributeMatch) -> tuple[str, ...]:
    if (one := match.coalition) is None:
        return ("none", "", "", "", "", "", "no")
    return (
        _members(one.latents),
        _figure(one.raised),
        f"{one.lowered:.2f}",
        "" if one.others is None else f"{one.others:.2f}",
        _figure(one.selectivity),
        f"{one.q:.2g}",
        "yes" if one.found else "no",
    )


def _by_prefix(name: str, found: PairFigures) -> Table:
    rows = (
        (
            first.attribute,
            *(
                "none" if (own := p.attributes[a].coalition) is None else _figure(own.selectivity)
                for p in found.prefixes
            ),
        )
        for a, first in enumerate(found.prefixes[0].attributes)
    )
    headings = ("attribute", *(f"first {p.width:,}" for p in found.prefixes))
    return table(headings, rows, title=f"{name}: selectivity of each prefix")


def _figure(found: Estimate, form: str = ".2f") -> str:
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
