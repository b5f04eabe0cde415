"""The tables of docs/costs-measured.md, from tokens.json alone: `python -m benchmarks.tokens_table` puts them there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from autointerp.lmm.image_tokens import estimate_text_tokens, words_of
from benchmarks.figures import put_between
from benchmarks.token_levers import (
    BASE,
    FAMILIES,
    LEVERS,
    TEXT,
    USUAL,
    Lever,
    common_prefix,
    cost_of,
    explaining,
    judging,
    tokens,
)
from benchmarks.truth.judges import CROWDED, GOOD, PERFECT

JUDGES = (PERFECT, GOOD, CROWDED)
"""Under which features are measured, in the table's order."""

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/costs-measured.md"
MARKS = ("<!-- tokens -->", "<!-- /tokens -->")
OTHER_MARKS = ("<!-- shared -->", "<!-- /shared -->")
SHARERS = 4
"""Features whose explanations would be judged in one request."""
UNIFORM = Lever("one image a request, drawn uniformly", "uniform")

Row = Mapping[str, object]


def table(figures: Mapping[str, object]) -> str:
    """Relative tokens by judge and lever, a column a family, under a line that says of what."""
    of, spent = figures["settings"], figures["spent"]
    assert isinstance(of, dict)
    assert isinstance(spent, list)
    lines = [
        f"Of {of['features']} features in {of['images']:,} images, seed {of['seed']}, each with a right explanation "
        f"and one that is too wide, to an interval no wider than {of['width']:g}:",
    ]
    for judge in JUDGES:
        lines += ["", f"**Judge: {judge.name}**", "", *_of_judge([s for s in spent if s["judge"] == judge.name])]
    return "\n".join(lines)


def _of_judge(spent: Sequence[Row]) -> Iterator[str]:
    yield f"| | features × explanations | {' | '.join(FAMILIES)} |"
    yield "|---|---|" + "---|" * len(FAMILIES)
    levers = (UNIFORM, *LEVERS) if any(s["run"] == "uniform" for s in spent) else LEVERS
    for lever in levers:
        pairs = list(_pairs(spent, lever))
        if not pairs:
            continue
        ratios = [[_ratio(lever, own, base, model) for own, base in pairs] for model in FAMILIES.values()]
        cells = [_stated(values, 2) for values in ratios]
        if lever.name == BASE:
            whole = [[tokens(lever, base, model) / 1000 for _, base in pairs] for model in FAMILIES.values()]
            cells = [f"{_stated(values, 0)} k" for values in whole]
        yield f"| {lever.name} | {len(pairs)} | {' | '.join(cells)} |"


def _pairs(spent: Sequence[Row], lever: Lever) -> Iterator[tuple[Sequence[tuple[int, bool, int]], ...]]:
    """What a lever and the base took, wherever both reached the width."""
    by = {(s["feature"], s["kind"], s["run"]): s["asked"] for s in spent}
    for (feature, kind, run), asked in by.items():
        base = by.get((feature, kind, "1"))
        if run == lever.run and asked is not None and base is not None:
            assert isinstance(asked, list | tuple)
            assert isinstance(base, list | tuple)
            yield asked, base


def _ratio(
    lever: Lever, own: Sequence[tuple[int, bool, int]], base: Sequence[tuple[int, bool, int]], model: str
) -> float:
    return tokens(lever, own, model) / tokens(LEVERS[0], base, model)


def _stated(values: Sequence[float], digits: int) -> str:
    """`median (least to most)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def not_built() -> str:
    """What a shared prefix and a shared sheet could save, by their own arithmetic."""
    model = next(iter(FAMILIES.values()))
    sheet, other = judging(12, model), judging(12, model, f"not {TEXT}")
    fixed = words_of(sheet) - estimate_text_tokens(TEXT)
    begins = common_prefix(sheet, other), common_prefix(explaining(model), explaining(model, 1000))
    lines = [
        f"Two features' questions begin with the same {begins[0]} tokens to the judge and {begins[1]} to the "
        f"explainer; all that is the same in a judge's question, schema included, is {fixed} tokens.",
        "",
        f"| one sheet of 12 shared by {SHARERS} features | {' | '.join(FAMILIES)} |",
        "|---|" + "---|" * len(FAMILIES),
        f"| saves, of all tokens of a feature | {' | '.join(f'{_shared(m):.1%}' for m in FAMILIES.values())} |",
    ]
    return "\n".join(lines)


def _shared(model: str) -> float:
    """Of explaining and five sheets of 12, one of them of uniformly drawn silent images and judged for all sharers."""
    sheet = cost_of(USUAL, 12, model)
    picture = sheet.input_tokens - words_of(judging(12, model))
    return picture * (1 - 1 / SHARERS) / (cost_of(USUAL, None, model).tokens + 5 * sheet.tokens)


def put() -> None:
    """Replaces what stands between the page's marks."""
    figures = json.loads((HERE / "tokens.json").read_text())
    put_between(PAGE, table(figures), MARKS)
    put_between(PAGE, not_built(), OTHER_MARKS)


if __name__ == "__main__":
    put()
