"""The tables of docs/generators.md, from table.json alone: `python -m benchmarks.generators.table` puts them there."""

from pathlib import Path

from benchmarks.figures import put_tables
from benchmarks.generators.figures import Figures, Within

HERE = Path(__file__).parent
JSON = HERE / "table.json"
PAGE = HERE.parent.parent / "docs/generators.md"
ESTIMATES = {
    "fired": "share that fires",
    "judged": "fired and silent images judged",
    "noisy": "the same, a judge who errs",
    "corrected": "the same, less its yes on sound images",
    "alone": "as many images judged, drawn at random",
}
WAYS = {
    "sampled": "every image judged: the most that can be had",
    "judged": "the benchmark with a judge",
    "fired": "the benchmark without one",
    "alone": "a judge alone",
    "classifier": "the paper's classifier, mean score",
    "count": "the paper's count of firing failure features",
}
TESTS = {
    "allowing": "the benchmark, which allows for style",
    "plain": "the same if style made no difference",
    "judged": "the judged rates' interval leaves 0 out",
}
SPEARMAN, COVERAGE, FALSE = 0.9, (0.92, 0.98), 0.05
"""The targets."""


def tables(figures: Figures) -> dict[str, str]:
    """The page's tables as Markdown, by name."""
    return {
        "rates": _rates(figures),
        "ways": _ways(figures),
        "pairs": _pairs(figures),
        "firing": _firing(figures),
        "made": _made(figures),
    }


def _made(f: Figures) -> str:
    seconds = ", ".join(f"{name} {n} s" for name, n in f.cpu.items())
    return (
        f"{f.n_worlds} worlds of {f.n_generators} generators, {f.n_images} images each, drawn from {f.n_stock:,} "
        f"scenes; "
        f"features found on {f.n_discovery:,} others. autointerp {f.version}, {f.machine}. "
        f"Seconds of processor time: {seconds}."
    )


def _within(one: Within, percent: bool = False) -> str:
    if percent:
        return f"{100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _told(met: bool) -> str:
    return "" if met else " **missed**"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])


def _rates(figures: Figures) -> str:
    heads = ["mode", "rate", "Spearman (≥ .9)", "bias, points", "coverage (95 ± 3 %)", "width, points"]
    rows = []
    for one in figures.estimates:
        bias = f"{100 * one.bias.value:+.1f} [{100 * one.bias.low:+.1f}, {100 * one.bias.high:+.1f}]"
        covered = _within(one.coverage, percent=True) + _told(COVERAGE[0] <= one.coverage.value <= COVERAGE[1])
        if one.own is not None:
            ok = COVERAGE[0] <= one.own.value <= COVERAGE[1]
            covered += f"; of what fires in truth {_within(one.own, percent=True)}{_told(ok)}"
        rows.append(
            [
                one.says,
                ESTIMATES[one.estimate],
                _within(one.spearman) + _told(one.spearman.value >= SPEARMAN),
                bias,
                covered,
                f"{100 * one.width:.1f}",
            ]
        )
    return _table(heads, rows)


def _ways(figures: Figures) -> str:
    by_name = {one.way: one for one in figures.ways}
    rows = [
        [words, _within(by_name[way].known) + _told(by_name[way].known.value >= SPEARMAN), _within(by_name[way].whole)]
        for way, words in WAYS.items()
    ]
    return _table(["ranked by", "Spearman with the errors that it has modes for (≥ .9)", "with all errors"], rows)


def _pairs(figures: Figures) -> str:
    by_name = {one.test: one for one in figures.tests}
    rows = [
        [
            words,
            _within(by_name[test].false, percent=True) + _told(by_name[test].false.value <= FALSE),
            _within(by_name[test].found, percent=True),
            _within(by_name[test].wrong, percent=True),
        ]
        for test, words in TESTS.items()
    ]
    heads = ["test", "equal rates, other style: found (≤ 5 %)", "10 points apart or more: found", "with the wrong sign"]
    return _table(heads, rows)


def _firing(figures: Figures) -> str:
    kinds = list(figures.firing[0].shares)
    rows = [[one.mode, one.style, *(f"{one.shares[k]:.2f}" for k in kinds)] for one in figures.firing]
    return _table(["mode", "style", *kinds], rows)


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_tables(PAGE, tables(Figures.model_validate_json(JSON.read_text(encoding="utf-8"))), "generators")


if __name__ == "__main__":
    put()
