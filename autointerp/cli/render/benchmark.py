"""Prints what the commands of `autointerp benchmark` did."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from autointerp.cli.printing import plural, table, tell
from autointerp.commands.benchmark_make import BenchmarkMake
from autointerp.commands.benchmark_report import BenchmarkReport
from autointerp.commands.benchmark_run import BenchmarkRun
from autointerp.errors import excerpt, typed
from autointerp.generators.records import Rate
from autointerp.generators.results import ANY, OfSet, Pair, Ranked
from autointerp.jobs.benchmark_make import Made
from autointerp.jobs.benchmark_report import Reported
from autointerp.jobs.benchmark_run import Ran
from autointerp.reports.benchmark_plots import points


def show_make(result: Made, settings: BenchmarkMake, *, as_json: bool) -> int:
    """Prints the failure modes of a pack and what comes next."""
    pack = result.opened.pack
    value = {"pack": str(result.opened.folder), "digest": result.opened.digest, **pack.model_dump(mode="json")}
    return tell(_make_lines(result, settings), value, as_json=as_json)


def _make_lines(result: Made, settings: BenchmarkMake) -> Iterator[str | Table]:
    pack = result.opened.pack
    left = pack.sifted
    yield (
        f"{plural(left.explained, 'explained feature')}: {left.detected:,} with a detection score above its controls, "
        f"{left.tested:,} tested, {left.associated:,} associated with {pack.held_out.attribute!r}"
    )
    rows = (
        (excerpt(m.name, 44), m.category, str(len(m.features)), rate(m.with_attribute), rate(m.without_attribute))
        for m in pack.modes
    )
    yield table(("mode", "category", "features", "with it, 95 %", "without, 95 %"), rows, left=2)
    overall = pack.overall
    yield (
        f"at least one mode: {rate(overall.with_attribute)} of the held-out images with the attribute, "
        f"{rate(overall.without_attribute)} of those without; {plural(len(pack.controls), 'negative control')}"
    )
    yield f"{plural(len(pack.modes), 'failure mode')} -> {result.opened.folder}"
    where = typed(result.opened.folder)
    yield f"next: autointerp benchmark run {where} --images A=FOLDER --images B=FOLDER --out RESULT"


def show_run(result: Ran, settings: BenchmarkRun, *, as_json: bool) -> int:
    """Prints the leaderboard, the clearest differences and what comes next."""
    value = {"out": str(result.out), "run": result.n_run, "before": result.n_before}
    return tell(_run_lines(result), {**value, **result.result.model_dump(mode="json")}, as_json=as_json)


def _run_lines(ran: Ran) -> Iterator[str | Table]:
    result = ran.result
    ranks = {r.name: r for r in result.ranks}
    judged = any(s.judged_per_image is not None for s in result.sets)
    rows = (
        (
            one.name,
            f"{one.n_images:,}",
            f"{one.n_clusters:,}",
            rate(one.any),
            "" if one.any_against_reference is None else points(one.any_against_reference),
            *((_judged(one),) if judged else ()),
            _rank(one, ranks),
        )
        for one in result.sets
    )
    more = ("failures an image, judged",) if judged else ()
    yield table(("set", "images", "clusters", "any mode, 95 %", "against reference", *more, "mean rank"), rows)
    names = {m.id: m.name for m in result.modes}
    found = [p for p in result.pairs if p.is_finding(result.made.level)]
    level = result.made.level
    yield f"{plural(len(found), 'difference')} of {len(result.pairs):,} at a false discovery rate of {level:g}"
    for p in sorted(found, key=lambda p: -abs(p.difference.value))[:5]:
        what = names.get(p.what, "any mode" if p.what == ANY else p.what)
        yield f"  {p.b} - {p.a}: {excerpt(what, 60)}: {_said(p)}"
    for one in result.sets:
        yield from (f"warning: {one.name}: {warning}" for warning in one.warnings)
    if result.judging is None:
        yield f"no judge has looked: fill in {ran.out}/to-judge.csv, a random sample, and give it with --verdicts"
    yield f"{ran.n_run:,} images run, {ran.n_before:,} before -> {ran.out}"
    yield f"next: autointerp benchmark report {typed(ran.out)}"


def show_report(result: Reported, settings: BenchmarkReport, *, as_json: bool) -> int:
    """Prints where the page is."""
    value = {"out": str(result.out), "files": list(result.files), "bytes": result.size, "missing": result.missing}
    return tell(_report_lines(result), value, as_json=as_json)


def _report_lines(result: Reported) -> Iterator[str]:
    if result.missing:
        yield f"{plural(result.missing, 'picture')} of the result are not there and are left out"
    beside = len(result.files) - 1
    yield f"{result.out}/report.html, {result.size / 1e6:.1f} MB, and {beside} tables and plots beside it"


def _said(pair: Pair) -> str:
    """A difference with its q, by the judge's word where there is one."""
    if pair.judged is None or pair.judged_q is None:
        return f"{points(pair.difference)}, q = {pair.q:.2g}"
    return f"judged {points(pair.judged)}, q = {pair.judged_q:.2g}"


def _rank(one: OfSet, ranks: Mapping[str, Ranked]) -> str:
    if one.reference:
        return "reference"
    return f"{ranks[one.name].rank:.1f}" if one.name in ranks else "no rank"


def _judged(one: OfSet) -> str:
    found = one.judged_per_image
    return "" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def rate(one: Rate) -> str:
    """Writes a share with its interval."""
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"
