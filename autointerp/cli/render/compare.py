"""Prints what `autointerp compare` found."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from autointerp.cli.printing import dollars, exit_code, plural, same_again, table, tell
from autointerp.cli.render.agreement import lines_of
from autointerp.commands.compare import Compare
from autointerp.jobs.agreement import JudgesCompared
from autointerp.jobs.compare import Comparison, OverControl, ScorerComparison
from autointerp.jobs.compare_many import Comparisons
from autointerp.jobs.vary import Varied
from autointerp.statistics.comparison import Contrast, Estimate

HELD = 0.05
"""From this adjusted p on, no difference is called shown."""
N_NAMED = 8
"""How many of the settings in which two runs differ are printed; --json has all."""


def show(result: Comparison | Comparisons | Varied | JudgesCompared, settings: Compare, *, as_json: bool) -> int:
    """Prints the comparison in words and as a table; exit code 1 or 3 where runs are missing."""
    code = 0
    if isinstance(result, Comparison):
        lines = _lines(result)
    elif isinstance(result, Comparisons):
        lines = _many(result)
    elif isinstance(result, JudgesCompared):
        lines = lines_of(result)
    else:
        lines = _varied(result)
        complete = not any(run.failed for run in result.runs)
        code = exit_code(complete=complete, halted=result.halted)
    return tell(lines, result.model_dump(mode="json"), as_json=as_json, code=code)


def _varied(found: Varied) -> Iterator[Table | str]:
    rows = [
        (run.name, run.run, f"{run.calls.requests:,}", f"{run.calls.tokens:,}", dollars(run.calls.dollars))
        for run in found.runs
    ]
    title = f"{plural(len(found.runs), 'run')} of {plural(found.features, 'feature')}"
    yield table(("setting", "run", "questions at most", "tokens", "price"), rows, title=title, left=2)
    for run in found.runs:
        if run.failed:
            yield f"{run.run}: {plural(run.failed, 'feature')} failed and stay pending; {same_again()}"
    if found.halted:
        why = next(run.stopped for run in found.runs if run.stopped is not None)
        yield f"stopped: {why}; nothing is compared yet; {same_again()}"
    if found.comparisons is not None:
        yield ""
        yield from _many(found.comparisons, {run.run: run.name for run in found.runs})


def _many(found: Comparisons, names: Mapping[str, str] | None = None) -> Iterator[Table | str]:
    """One row for each run and scorer, then in words which settings matter."""
    names = names or {}
    judged = f", judged by {found.base.judge}" if found.base.judge else ""
    yield f"base: {found.base.run}, explained by {found.base.explainer}{judged}"
    headings = ("against the base", "scorer", "features", "base", "run", "difference [95 %]", "p", "p (Holm)")
    rows = [(_name(c, names), *_short(s)) for c in found.others for s in c.scorers]
    yield table(headings, rows, left=2)
    yield from (_matters(c, names) for c in found.others)
    for c in found.others:
        yield from (f"note: {_name(c, names)}: {note}" for note in c.notes)
    yield from (f"note: {note}" for note in found.notes)


def _name(c: Comparison, names: Mapping[str, str]) -> str:
    return names.get(c.b.run) or "; ".join(c.varied[:2]) or c.b.run


def _short(s: ScorerComparison) -> tuple[str, ...]:
    c = s.contrast
    n = f"{c.n_a:,}" if c.paired else f"{c.n_a:,} | {c.n_b:,}"
    means = (f"{c.mean_a.value:.3f}", f"{c.mean_b.value:.3f}", _signed(c.difference))
    return (s.scorer, n, *means, _p(c.tested.p), _p(s.p_holm))


def _matters(c: Comparison, names: Mapping[str, str]) -> str:
    """Says whether a setting matters, and for what."""
    shown = [s for s in c.scorers if s.p_holm < HELD]
    if shown:
        each = [f"{s.scorer} {_signed(s.contrast.difference)}" for s in shown]
        said = f"matters: {', '.join(each)}"
    else:
        widest = max(c.scorers, key=lambda s: abs(s.contrast.difference.value))
        said = f"no difference is shown; {widest.scorer} {_signed(widest.contrast.difference)} is the largest"
    return f"{_name(c, names)}: {said}{_over(c.over_control)}.{_left(c.scorers[0], c.paired)}"


def _over(found: OverControl | None) -> str:
    if found is None:
        return ""
    d = found.contrast
    return (
        f"; less what another feature's explanation gets: {_signed(d.difference)} on {plural(d.n_a, 'feature')}, "
        f"p alone {_p(d.tested.p, '= ')}"
    )


def _lines(c: Comparison) -> Iterator[Table | str]:
    yield headline(c)
    yield from _sides(c)
    yield _table(c)
    yield from (sentence(scorer, is_paired=c.paired) for scorer in c.scorers)
    yield from (f"note: {note}" for note in c.notes)


def headline(c: Comparison) -> str:
    """Says whether the runs are paired, and on how many features and images."""
    if not c.paired:
        most = max((s.contrast for s in c.scorers), key=lambda x: (x.n_a, x.n_b))
        return f"unpaired: two dumps, {c.a.dump} ({most.n_a:,} features) and {c.b.dump} ({most.n_b:,} features)"
    images = max(s.images for s in c.scorers)
    on = f"{images:,} judged images in common, {images / c.features:.0f} a feature" if images else "no image in common"
    return f"paired: {plural(c.features, 'feature')} of the dump {c.a.dump}, {on}"


def sentence(s: ScorerComparison, *, is_paired: bool) -> str:
    """Says what came of one scorer."""
    c, d = s.contrast, s.contrast.difference
    if c.equal == 1:
        return f"{s.scorer}: the same in A and B throughout.{_left(s, is_paired)}"
    bounds = "" if d.low is None or d.high is None else f"95 % interval {d.low:+.3f} to {d.high:+.3f}, "
    p = f"p {_p(s.p_holm, '= ')}" if s.p_holm == c.tested.p else f"adjusted p {_p(s.p_holm, '= ')}"
    higher = f"B scores {abs(d.value):.3f} {'higher' if d.value > 0 else 'lower'} than A"
    if s.p_holm < HELD:
        said = f"{higher} ({bounds}{p})"
    elif c.tested.p < HELD:
        said = f"{higher} if this scorer alone is asked ({bounds}p {_p(c.tested.p, '= ')}), not among all of them ({p})"
    else:
        said = f"no difference is shown: B − A is {d.value:+.3f} ({bounds}{p})"
    return f"{s.scorer}: {said}; {_wins(c) if is_paired else _pairs(c)}.{_left(s, is_paired)}"


def _wins(c: Contrast) -> str:
    better, worse = round(c.better.value * c.n_a), round(c.worse * c.n_a)
    return (
        f"of {plural(c.n_a, 'feature')} B is better on {better:,}, equal on {c.n_a - better - worse:,}, worse on "
        + (f"{worse:,}; P(B better) is {c.better.low:.2f} to {c.better.high:.2f}")
    )


def _pairs(c: Contrast) -> str:
    return f"a feature of B scores above one of A in {c.better.value:.0%} of pairs, equal in {c.equal:.0%}"


def _left(s: ScorerComparison, is_paired: bool) -> str:
    """Says what the figures leave out."""
    gone = (
        (s.unscored_a, "unscored in A"),
        (s.unscored_b, "unscored in B"),
        (s.only_a, "only in A"),
        (s.only_b, "only in B"),
    )
    parts = [f"{n:,} {what}" for n, what in gone if n]
    left = f" Left out: {', '.join(parts)}." if parts else ""
    if is_paired and s.as_scored and s.images:
        left += f" {plural(s.as_scored, 'feature')} without common images throughout: compared as scored."
    return left


def _sides(c: Comparison) -> Iterator[str]:
    width = max(len(c.a.run), len(c.b.run))
    for name, side in (("A", c.a), ("B", c.b)):
        judged = f", judged by {side.judge}" if side.judge else ""
        yield f"  {name}  {side.run:<{width}}  explained by {side.explainer}{judged}"
    yield from (f"  differ  {line}" for line in c.differ[:N_NAMED])
    if len(c.differ) > N_NAMED:
        yield f"  differ  in {len(c.differ) - N_NAMED} more settings"
    if not c.differ:
        yield "  the two runs have the same settings"


def _table(c: Comparison) -> Table:
    effect = "Cohen's d_z" if c.paired else "Cliff's delta"
    means = ("features", "A", "B", "B − A [95 %]")
    headings = ("scorer", *means, "p", "p (Holm)", f"{effect} [95 %]", "B > / = / < A")
    made = table(headings, (_row(s, is_paired=c.paired) for s in c.scorers))
    made.pad_edge = False
    return made


def _row(s: ScorerComparison, *, is_paired: bool) -> tuple[str, ...]:
    c = s.contrast
    return (
        s.scorer,
        f"{c.n_a:,}" if is_paired else f"{c.n_a:,} | {c.n_b:,}",
        f"{c.mean_a.value:.3f}",
        f"{c.mean_b.value:.3f}",
        _signed(c.difference),
        _p(c.tested.p),
        _p(s.p_holm),
        "none" if c.effect is None else _signed(c.effect),
        f"{c.better.value:.0%} / {c.equal:.0%} / {c.worse:.0%}",
    )


def _signed(e: Estimate) -> str:
    """Writes `+0.081 [+0.031, +0.132]`; an open bound is a dot."""
    if e.low is None and e.high is None:
        return f"{e.value:+.3f}"
    low, high = ("·" if bound is None else f"{bound:+.3f}" for bound in (e.low, e.high))
    return f"{e.value:+.3f} [{low}, {high}]"


def _p(p: float, equals: str = "") -> str:
    if p < 0.0001:
        return "< 0.0001"
    return equals + (f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}")
