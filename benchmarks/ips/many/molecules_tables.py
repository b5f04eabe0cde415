"""The tables and the picture of the molecules: `python -m benchmarks.ips.many.molecules_tables` puts them."""

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.figures import put_tables
from benchmarks.ips.many.cells import PAGE, Found, read
from benchmarks.ips.many.chemistry import TARGETS
from benchmarks.ips.many.molecules import BY_SMILES, FIGURES, GROUPS, JSON, METHODS, UNTRAINED
from benchmarks.ips.many.reasoning_tables import COLOURS, label, signed
from benchmarks.ips.methods import IPS
from benchmarks.ips.plots import IMAGES, STYLE
from benchmarks.ips.table import markdown, within

MAIN = 16
PICTURE = IMAGES / "ips-molecules.svg"
TOPS = {"good scaffolds": 1e6, "found a 1,000 calls": 1e6}
"""Largest value of a figure that is no share."""
HEADS = ("mean reward", "best ten", "good scaffolds", "largest scaffold", "internal diversity", "found a 1,000 calls")


def put(found: Found) -> None:
    """Writes the page's tables and the picture."""
    put_tables(PAGE, tables(found), "ips-many")
    with mpl.rc_context(STYLE):
        picture(found).savefig(PICTURE, metadata={"Date": None, "Creator": None})


def tables(found: Found) -> dict[str, str]:
    """By name."""
    return {
        "molecules methods": methods(found),
        "molecules groups": groups(found),
        "molecules differences": differences(found),
        "molecules seconds": f"{found.seconds / 60:.1f} minutes by the clock on {found.machine}.",
    }


def methods(found: Found) -> str:
    """Every figure at G = 16."""
    lines: list[list[str]] = []
    for target in TARGETS:
        for group, method in ((0, UNTRAINED), *((MAIN, m) for m in METHODS), (MAIN, BY_SMILES)):
            digits = {"good scaffolds": 1}
            values = [
                within(found.estimate(f"list, {target}", group, method, k, TOPS.get(k, 1.0)), digits.get(k, 2))
                if k in found.of(f"list, {target}", group, method).figures
                else "–"
                for k in FIGURES
            ]
            lines.append([f"{target}: {label(method)}", *values])
    return markdown(["list of molecules, G = 16", *HEADS], lines)


def groups(found: Found) -> str:
    """Mean reward and good scaffolds over G."""
    lines: list[list[str]] = []
    for target in TARGETS:
        for m in (*METHODS, BY_SMILES):
            own = [
                f"{found.of(f'list, {target}', g, m).mean('mean'):.2f}; "
                + within(found.estimate(f"list, {target}", g, m, "good scaffolds", 1e6), 1)
                for g in GROUPS
            ]
            lines.append([f"{target}: {label(m)}", *own])
    return markdown(["mean reward; good scaffolds", *(f"G = {g}" for g in GROUPS)], lines)


def differences(found: Found) -> str:
    """IPS-GRPO less each other method, over both targets."""
    figures = ("largest", "mean", "top", "good scaffolds")
    tasks = [f"list, {t}" for t in TARGETS]
    lines: list[list[str]] = []
    for g in GROUPS:
        for m in (*(m for m in METHODS if m != IPS.name), BY_SMILES):
            lines.append([f"{label(m)}, G = {g}", *(signed(found, tasks, g, (IPS.name, m), k) for k in figures)])
    return markdown(["IPS-GRPO less", "largest scaffold", "mean reward", "best ten", "good scaffolds"], lines)


def picture(found: Found) -> Figure:
    """Good scaffolds over mean reward, a mark for each method, coefficient and rate."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    panels = [(t, g) for t in TARGETS for g in (MAIN, GROUPS[-1])]
    for axis, (target, group) in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
        for m in (*METHODS, BY_SMILES):
            own = [s.means for s in found.sweeps if (s.task, s.group, s.method) == (f"list, {target}", group, m)]
            shade = COLOURS[IPS.name] if m == BY_SMILES else COLOURS[m]
            face = "none" if m == BY_SMILES else shade
            points = [v for means in own for v in means.values()]
            axis.scatter(*zip(*points, strict=True), s=16, edgecolors=shade, facecolors=face, label=label(m))
        start = found.of(f"list, {target}", 0, UNTRAINED)
        axis.scatter([start.mean("mean")], [start.mean("good scaffolds")], s=24, marker="x", color="#999999")
        axis.axvline(float(found.settings["enough"]), color="#999999", lw=0.8, ls=":")
        axis.set(title=f"{target}, G = {group}", xlabel="mean reward", xlim=(0, 1.02), ylim=(0, None))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[0].set_ylabel("good scaffolds among 1,000")
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


if __name__ == "__main__":
    put(read(JSON))
