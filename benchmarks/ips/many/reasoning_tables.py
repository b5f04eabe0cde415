"""The tables and the picture of the reasoning tasks: `python -m benchmarks.ips.many.reasoning_tables` puts them."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.figures import put_tables
from benchmarks.ips.many.cells import PAGE, Found, read
from benchmarks.ips.many.domains import SIZES
from benchmarks.ips.many.reasoning import (
    DOMAINS,
    ENTROPY,
    GROUPS,
    JSON,
    ORDER,
    RATES,
    SGRPO,
    UNIFORM,
    UNTRAINED,
    figures,
    questions,
    task,
)
from benchmarks.ips.many.tables import Plan, train
from benchmarks.ips.methods import GRPO, INVALID, IPS
from benchmarks.ips.plots import IMAGES, STYLE
from benchmarks.ips.table import markdown, within

MAIN = 16
NAMES = {ENTROPY: "GRPO + best entropy"}
COLOURS = {
    "GRPO": "#4d4d4d",
    ENTROPY: "#6a9a3b",
    "soft count": "#2a7f9e",
    "memory bonus": "#8a6fb3",
    SGRPO: "#d9822b",
    "IPS-GRPO": "#c8102e",
}
RECIPE = PAGE.parent / "many-answers.md"
PICTURE = IMAGES / "ips-reasoning.svg"
WATCHED = IMAGES / "ips-watch.svg"


def put(found: Found) -> None:
    """Writes the pages' tables and the picture."""
    put_tables(PAGE, tables(found), "ips-many")
    put_tables(RECIPE, {"recipe groups": recipe(found)}, "ips-many")
    with mpl.rc_context(STYLE):
        picture(found).savefig(PICTURE, metadata={"Date": None, "Creator": None})
        watched().savefig(WATCHED, metadata={"Date": None, "Creator": None})


def tables(found: Found) -> dict[str, str]:
    """By name."""
    return {
        "reasoning methods": methods(found),
        "reasoning sizes": sizes(found),
        "reasoning groups": groups(found),
        "reasoning differences": differences(found),
        "reasoning rates": rates(found),
        "reasoning costs": costs(found),
        "reasoning seconds": f"{found.seconds / 60:.1f} minutes by the clock on {found.machine}.",
    }


def label(method: str) -> str:
    """In a table."""
    return NAMES.get(method, method)


def methods(found: Found) -> str:
    """Every figure at G = 16 and 27 admissible hypotheses."""
    keys = ("valid", "unique", "recovery", "largest", "effective")
    head = ["27 admissible, G = 16", "validity", "uniqueness", "recovery", "largest share", "effective number, of N"]
    lines: list[list[str]] = []
    for domain in DOMAINS:
        for group, method in ((0, UNTRAINED), *((MAIN, m) for m in ORDER), (0, UNIFORM)):
            values = [within(found.estimate(task(domain, 27), group, method, k), 2) for k in keys]
            lines.append([f"{domain}: {label(method)}", *values])
    return markdown(head, lines)


def sizes(found: Found) -> str:
    """Validity, uniqueness and recovery over the size of the admissible set, without intervals."""
    keys = ("valid", "unique", "recovery")
    head = ["validity / uniqueness / recovery, G = 16", *(f"N = {s}" for s in SIZES)]
    lines: list[list[str]] = []
    for domain in DOMAINS:
        for group, method in (*((MAIN, m) for m in ORDER), (0, UNIFORM)):
            cells = [" / ".join(f"{found.of(task(domain, s), group, method).mean(k):.2f}" for k in keys) for s in SIZES]
            lines.append([f"{domain}: {label(method)}", *cells])
    return markdown(head, lines)


def groups(found: Found) -> str:
    """Recovery over G, by size."""
    picked = (27, 81)
    head = ["recovery", *(f"N = {s}, G = {g}" for s in picked for g in GROUPS)]
    lines: list[list[str]] = []
    for domain in DOMAINS:
        for m in ORDER:
            values = [within(found.estimate(task(domain, s), g, m, "recovery"), 2) for s in picked for g in GROUPS]
            lines.append([f"{domain}: {label(m)}", *values])
    return markdown(head, lines)


def differences(found: Found) -> str:
    """IPS-GRPO less each other method, over all sizes of a domain."""
    figures = ("largest", "valid", "recovery", "recovery at equal time")
    head = ["IPS-GRPO less", "largest share", "validity", "recovery", "recovery at equal time"]
    lines: list[list[str]] = []
    for g in GROUPS:
        for m in ORDER[:-1]:
            tasks = [task(d, s) for d in DOMAINS for s in SIZES]
            pair = (IPS.name, m)
            cells = [signed(found, tasks, g, pair, k) for k in figures]
            lines.append([f"{label(m)}, G = {g}", *cells])
    return markdown(head, lines)


def signed(found: Found, tasks: Sequence[str], group: int, pair: tuple[str, str], figure: str, digits: int = 3) -> str:
    """A difference with its interval."""
    e = found.difference(tasks, group, pair, figure)
    return f"{e.value:+.{digits}f} [{e.low:+.{digits}f}, {e.high:+.{digits}f}]"


def rates(found: Found) -> str:
    """Validity and recovery of IPS-GRPO at G = 16 by rate, means over domains."""
    head = ["IPS-GRPO, G = 16: validity / recovery", *(f"rate {r:g}" for r in RATES)]
    lines: list[list[str]] = []
    for size in SIZES:
        asked = {task(d, size) for d in DOMAINS}
        own = [s.means for s in found.sweeps if (s.method, s.group) == (IPS.name, MAIN) and s.task in asked]
        cells = [" / ".join(f"{sum(m[f'{r:g}'][k] for m in own) / len(own):.2f}" for k in (0, 1)) for r in RATES]
        lines.append([f"N = {size}", *cells])
    return markdown(head, lines)


def recipe(found: Found) -> str:
    """Recovery of GRPO and IPS-GRPO by N and G, means over domains."""
    head = ["right answers", *(f"G = {g}: GRPO, IPS-GRPO" for g in GROUPS), "each alike"]
    lines: list[list[str]] = []
    for size in SIZES:
        tasks = [task(d, size) for d in DOMAINS]

        def mean(group: int, method: str, over: Sequence[str] = tuple(tasks)) -> str:
            return f"{sum(found.of(t, group, method).mean('recovery') for t in over) / len(over):.2f}"

        own = [f"{mean(g, GRPO.name)}, {mean(g, IPS.name)}" for g in GROUPS]
        lines.append([str(size), *own, mean(0, UNIFORM)])
    return markdown(head, lines)


def costs(found: Found) -> str:
    """Processor time of a thousand samples, and the coefficients and rates that were chosen."""
    per = float(found.settings["samples"]) * float(found.settings["seeds"]) / 1000
    head = ["", *(f"ms a 1,000 samples, G = {g}" for g in GROUPS), "chosen at N = 27, G = 16: causal; voxels; Boolean"]
    lines: list[list[str]] = []
    for m in ORDER:
        tasks = [task(d, s) for d in DOMAINS for s in SIZES]
        spent = [sum(found.of(t, g, m).seconds for t in tasks) / len(tasks) / per * 1000 for g in GROUPS]
        told = "; ".join(found.of(task(d, 27), MAIN, m).swept() for d in DOMAINS)
        lines.append([label(m), *(f"{s:.2f}" for s in spent), told])
    return markdown(head, lines)


def picture(found: Found) -> Figure:
    """Recovery over the size of the set at G = 16."""
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    for axis, domain in zip(figure.subplots(1, len(DOMAINS), sharey=True), DOMAINS, strict=True):
        for m in ORDER:
            own = [found.estimate(task(domain, s), MAIN, m, "recovery") for s in SIZES]
            axis.plot(SIZES, [e.value for e in own], "-o", ms=3, lw=1.2, color=COLOURS[m], label=label(m))
            axis.fill_between(SIZES, [e.low for e in own], [e.high for e in own], color=COLOURS[m], alpha=0.15, lw=0)
        alike = [found.of(task(domain, s), 0, UNIFORM).mean("recovery") for s in SIZES]
        axis.plot(SIZES, alike, ":", color="#999999", lw=1, label="every admissible one alike")
        axis.set_xscale("log", base=3)
        axis.set_xticks(SIZES, [str(s) for s in SIZES])
        axis.set(title=domain, xlabel="admissible hypotheses N", ylim=(0, 0.8))
    figure.axes[0].set_ylabel("recovery in N samples")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def watched() -> Figure:
    """Largest share and effective number over training: voxels, nine structures, eight questions; trained here."""
    given, plan = questions("voxels", 9, 8, 0), Plan(MAIN, 8_192, 3.0, 32)
    figure = Figure(figsize=(9.6, 2.6), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = ("share of the largest outcome", "effective number of outcomes", "validity")
    for method in (GRPO, IPS):
        trained = train(given[0], (given[0] != INVALID).astype(float), given[1], method, plan, seed=1)
        own = [figures(p, given[0]) for p in trained.policies]
        steps = np.linspace(0, plan.steps(), len(own))
        for axis, name, times, title in zip(panels, ("largest", "effective", "valid"), (1, 9, 1), titles, strict=True):
            lines = np.array([f[name] for f in own]) * times
            axis.plot(steps, lines, color=COLOURS[method.name], lw=0.5, alpha=0.4)
            axis.plot(steps, lines.mean(1), color=COLOURS[method.name], lw=2, label=method.name)
            axis.set(title=title, xlabel="step", ylim=(0, 9.2 if times == 9 else 1.02))
    panels[0].legend(loc="center right")
    return figure


if __name__ == "__main__":
    put(read(JSON))
