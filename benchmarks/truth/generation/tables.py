"""Rows of the tables, from all scores, and how they are written in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from autointerp.reports.two_sides import BROAD, HOLDS, LACKS, LOOSE, NARROW, OPEN, WRONG
from benchmarks.truth.generation.figures import COMBINED, Found, Interval, coverage, p_paired, ranking, values_of
from benchmarks.truth.generation.planted import KINDS, LATENTS
from benchmarks.truth.generation.stages import QUICK, Measured, Said, Size

SAID = {
    HOLDS: "holds",
    NARROW: "too narrow",
    LOOSE: "too broad (fires)",
    BROAD: "too broad",
    LACKS: "lacks something",
    WRONG: "wrong",
    OPEN: "open",
}
"""The sentences of the report, in short."""
Row = Mapping[str, str | float]
Tables = dict[str, list[Row]]
MARKS = "generation"
"""The word that stands before a table's name in the marks of a page."""
SEEN = 0.01
"""The p-value below which a fault counts as seen."""
CHOSEN = (0, 1)
"""The populations on which the report's rule was chosen; where there are others, its verdicts are shown on these."""
CUTOFFS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0)
BROADER, AS_NARROW = ("too broad", "generic"), ("true", "half", "too narrow")
"""Kinds of texts that hold of more images than fire the latent, and of no others."""


def tables_of(found: Measured, size: Size) -> Tables:
    """Makes the rows of each table, by its name."""
    return {
        "faults": list(_faults(found, size)),
        "ranking": list(_rankings(found, size)),
        "cutoffs": list(_cutoffs(found.verdicts, size)),
        "verdicts": list(_verdicts(found, size)),
        "coverage": list(_coverages(found, size)),
        "sanity": list(_sanity(found)),
        "causes": list(_causes(found)),
    }


def _faults(found: Measured, size: Size) -> Iterator[Row]:
    """A row a kind of text; bold is what is below the true texts of the same latents by more than chance."""
    columns = [(f"detection, {by}", found.detection, by) for by in size.judges]
    columns += [(f"generation, {by}", found.generation, by) for by in size.ways]
    columns += [(f"selectivity, {by}", found.selectivity, by) for by in size.ways[:1]]
    for kind in (k for k in KINDS if k in size.kinds):
        own = [f for f in found.detection if f.kind == kind]
        row: dict[str, str | float] = {"text": kind, "F1": f"{np.mean([f.worth for f in own]):.2f}"}
        for name, scores, by in columns:
            row[name] = fault([f for f in scores if f.by == by], kind)
        yield row


def fault(scores: Sequence[Found], kind: str) -> str:
    """The mean of a kind over the latents that have it, bold where the true texts' is above it."""
    true, own = _by_latent(scores, "true"), _by_latent(scores, kind)
    both = sorted(true.keys() & own.keys())
    if not own:
        return "–"
    mean = f"{np.mean(list(own.values())):.2f}"
    seen = kind != "true" and p_paired([true[i] for i in both], [own[i] for i in both]) < SEEN
    return f"**{mean}**" if seen else mean


def _by_latent(scores: Sequence[Found], kind: str) -> dict[int, float]:
    """Each latent's mean over the populations and draws in which it was scored."""
    values: dict[int, list[float]] = {}
    for f in scores:
        if f.kind == kind and f.value is not None:
            values.setdefault(f.latent, []).append(f.value)
    return {i: float(np.mean(v)) for i, v in values.items()}


def _rankings(found: Measured, size: Size) -> Iterator[Row]:
    draws = [size.draws * i for i in range(size.worlds)]
    keys = sorted({(f.latent, f.kind) for f in found.detection})
    worth = {(f.draw, f.latent, f.kind): f.worth for f in found.detection}
    truth = np.array([[worth[draw, *key] for key in keys] for draw in draws])
    latents = np.array([latent for latent, _ in keys])
    for judge in size.judges:
        for way in size.ways:
            scores = (values_of(found.detection, judge, keys, draws), values_of(found.generation, way, keys, draws))
            r = ranking(*scores, truth, latents)
            row: dict[str, str | float] = {"judge": judge, "pictures": way}
            row |= {name: _with_ends(r[name]) for name in ("detection", "generation")}
            yield row | {name: f"{r[name][0]:.2f} ({_difference(r[f'{name} − detection'])})" for name in COMBINED}


def _with_ends(of: Interval) -> str:
    value, low, high = of
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _difference(of: Interval) -> str:
    value, low, high = of
    text = f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"**{text}**" if low > 0 else text


def _cutoffs(found: Sequence[Said], size: Size) -> Iterator[Row]:
    """By cutoff, how many more of the broader texts than of the others would be too broad, did no picture fire."""
    halves = {"chosen on": [s for s in found if s.population in CHOSEN]}
    halves["shown on"] = [s for s in found if s.population not in CHOSEN]
    for cutoff in CUTOFFS:
        row: dict[str, str | float] = {"precision below": f"{cutoff:.2f}"}
        for name, half in halves.items():
            gaps: list[float] = []
            for judge in size.judges:
                broader, others = (below(half, judge, kinds, cutoff) for kinds in (BROADER, AS_NARROW))
                row[f"{name}: {judge}"] = "–"
                if broader is not None and others is not None:
                    row[f"{name}: {judge}"] = f"{broader:.2f} / {others:.2f}"
                    gaps.append(broader - others)
            row[f"{name}: apart"] = f"{np.mean(gaps):.2f}" if gaps else "–"
        yield row


def below(found: Sequence[Said], judge: str, kinds: Sequence[str], cutoff: float) -> float | None:
    """The share of some kinds of texts whose images match, with a precision below a cutoff and below the recall."""
    own = [s for s in found if s.judge == judge and s.kind in kinds and not s.undetermined]
    return float(np.mean([_matches(s) and s.precision < min(cutoff, s.recall) for s in own])) if own else None


def _matches(said: Said) -> bool:
    """Whether half of the images match a text, or the F1 says so."""
    both = said.recall + said.precision
    return said.recall >= 0.5 or (both > 0 and 2 * said.recall * said.precision / both >= 0.5)


def _verdicts(found: Measured, size: Size) -> Iterator[Row]:
    """The share of each sentence of the report among a kind's latents, for a judge that knows and one that errs."""
    shown = [said for said in found.verdicts if said.population not in CHOSEN] or found.verdicts
    for judge, kind in product(QUICK.judges, (k for k in KINDS if k in size.kinds)):
        own = [said.sentence for said in shown if (said.judge, said.kind) == (judge, kind)]
        shares = {short: f"{own.count(said) / len(own):.2f}" for said, short in SAID.items()}
        yield {"judge": judge, "text": kind} | shares


def _coverages(found: Measured, size: Size) -> Iterator[Row]:
    for way in size.ways:
        own = [f for f in found.generation if f.by == way]
        holds, width, error, n = coverage(own)
        yield {
            "pictures": way,
            "holds": f"{holds:.1%}",
            "width": f"{width:.2f}",
            "bias": f"{error:+.3f}",
            "scores": n,
            "not scored": len(own) - n,
        }


def _sanity(found: Measured) -> Iterator[Row]:
    """The true texts of the first population beside the same dealt anew, and on a random network."""
    own = [f for f in found.generation if (f.draw, f.by, f.kind) == (0, "exact", "true")]
    true = _by_latent(own, "true")
    yield {"what": "own text, planted network", "generation": f"{np.mean(list(true.values())):.2f}", "p": ""}
    for kind, what in (("shuffled", "another latent's text"), ("random", "own text, random weights")):
        other = _by_latent(found.sanity, kind)
        both = sorted(true.keys() & other.keys())
        p = p_paired([true[i] for i in both], [other[i] for i in both])
        yield {"what": what, "generation": f"{np.mean(list(other.values())):.2f}", "p": f"{p:.4f}"}


def _causes(found: Measured) -> Iterator[Row]:
    """What the network says of crops, by family of latents."""
    for family in dict.fromkeys(latent.family for latent in LATENTS):
        row: dict[str, str | float] = {"latents": family}
        for kind in ("sufficiency", "necessity"):
            own = [f.value for f in found.causal if f.kind == kind and LATENTS[f.latent].family == family]
            there = [v for v in own if v is not None]
            row[kind] = f"{np.mean(there):.2f}" if there else "–"
        yield row


def markdown(rows: Sequence[Row]) -> str:
    """Writes rows as a table."""
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[h]) for h in heads)} |" for row in rows)])
