"""What the runs come to: a table of each kind of coder, and whether ours is as good as the best of the others."""

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import mean, median, stdev

from scipy.stats import t as student

from benchmarks.coders.runs import DEFAULTS, FREE, KINDS, OURS, WIDTHS, Run
from benchmarks.coders.speed import Timed, ratios

NAMES = {
    "topk": "TopK autoencoder",
    "batchtopk": "BatchTopK autoencoder",
    "matryoshka": "Matryoshka autoencoder (BatchTopK)",
    "prefix-topk": "Matryoshka autoencoder, a top-k of each prefix",
    "transcoder": "TopK transcoder",
    "matryoshka-transcoder": "Matryoshka transcoder (BatchTopK)",
}
COLUMNS: dict[str, tuple[Callable[[Run], float], bool]] = {
    **{f"FVU {w}": (lambda r, i=i: r.measured.fvu[i], False) for i, w in enumerate(WIDTHS)},
    "dead": (lambda r: r.measured.dead, False),
    "parents": (lambda r: r.measured.parents, True),
    "children": (lambda r: r.measured.children, True),
    "lone": (lambda r: r.measured.lone, True),
    "absorption": (lambda r: r.measured.absorption, False),
    "nesting": (lambda r: r.measured.nesting, True),
}
"""Figures of a run, and whether more is better."""
BESIDE = {"prefix-topk": "topk", "matryoshka-transcoder": "transcoder"}
"""Beside the peers of which kind a coder's time stands where no other library has its kind."""
UNLEARNED = ("dead", "absorption")
"""Columns in which a coder that hardly learned is good: rivals count that leave at most twice the FVU of the best."""
NESTED = ("matryoshka", "prefix-topk", "matryoshka-transcoder")


def table(runs: Sequence[Run], times: Sequence[Timed]) -> str:
    """One Markdown table a kind of coder; times are over that of the fastest other library of the kind."""
    return "\n\n".join(_table([r for r in runs if r.kind == kind], kind, times) for kind in KINDS)


def _table(runs: Sequence[Run], kind: str, times: Sequence[Timed]) -> str:
    head = ["", *COLUMNS, "L0", "time"]
    lines = [f"**{NAMES[kind]}**", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    rivals = list(dict.fromkeys((r.trainer, r.setting) for r in runs))
    taken = ratios(times, kind, BESIDE.get(kind, kind))
    for library, setting in rivals:
        own = _of(runs, library, setting)
        name = library if (library, setting) == (OURS, DEFAULTS) else f"{library}, {setting}"
        cells = [_stated([take(r) for r in own]) for take, _ in COLUMNS.values()]
        cells.append(f"{mean(r.measured.l0 for r in own):.2f}")
        cells.append(f"{median(taken[library]):.2f}" if library in taken else "–")
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def verdicts(runs: Sequence[Run], times: Sequence[Timed]) -> str:
    """One line a kind that has a rival: in which columns ours is no worse than the best of the others, and where it is.

    The difference is taken on each population; ours is worse where the whole 95 % interval of the mean difference is.
    The best is the setting of a library that is best in this column on the mean. Of prefixes of plain coders, which
    nobody trained, only the whole dictionary counts.
    """
    lines = []
    for kind in KINDS:
        own = [r for r in runs if r.kind == kind]
        if len({r.trainer for r in own}) < 2:
            continue
        for setting in dict.fromkeys(r.setting for r in own if r.trainer == OURS):
            lines.append(_verdict(own, kind, setting, times))
    return "\n".join(lines)


def _verdict(runs: Sequence[Run], kind: str, setting: str, times: Sequence[Timed]) -> str:
    skipped = () if kind in NESTED else tuple(f"FVU {w}" for w in WIDTHS[:-1])
    told = [_told(name, runs, setting, *what) for name, what in COLUMNS.items() if name not in skipped]
    if taken := ratios(times, kind, kind):
        ratio = median(taken[OURS])
        told.append((ratio <= 1.0, f"time {ratio:.2f} of the fastest"))
    met, missed = ([text for ok, text in told if ok is which] for which in (True, False))
    name = NAMES[kind] + (f", {FREE}" if setting == FREE else "")
    return f"- {name}: no worse in {len(met)} of {len(told)}.{_list(' **Missed**', missed)}"


def _told(name: str, runs: Sequence[Run], setting: str, take: Callable[[Run], float], more: bool) -> tuple[bool, str]:
    ours = {r.seed: take(r) for r in _of(runs, OURS, setting)}
    rivals = {(r.trainer, r.setting) for r in runs if r.trainer != OURS}
    if name in UNLEARNED:
        left = {rival: mean(r.measured.fvu[-1] for r in _of(runs, *rival)) for rival in rivals}
        rivals = {rival for rival in rivals if left[rival] <= 2 * min(left.values())}
    sign = 1 if more else -1
    best = max(sorted(rivals), key=lambda rival: sign * mean(take(r) for r in _of(runs, *rival)))
    theirs = {r.seed: take(r) for r in _of(runs, *best)}
    low, high = interval([ours[seed] - theirs[seed] for seed in ours])
    text = f"{name} {mean(ours.values()):.3f} against {mean(theirs.values()):.3f} ({best[0]}, {best[1]})"
    return (high >= 0 if more else low <= 0), text


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % interval of the mean, by Student's t; of one value, the value."""
    if len(values) < 2:
        return values[0], values[0]
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return mean(values) - half, mean(values) + half


def _of(runs: Sequence[Run], trainer: str, setting: str) -> list[Run]:
    return [r for r in runs if (r.trainer, r.setting) == (trainer, setting)]


def _stated(values: Sequence[float]) -> str:
    """The mean and half of its interval's width."""
    half = (interval(values)[1] - interval(values)[0]) / 2
    return f"{mean(values):.3f} ± {half:.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def _list(head: str, texts: Sequence[str]) -> str:
    return f"{head}: {'; '.join(texts)}." if texts else ""
