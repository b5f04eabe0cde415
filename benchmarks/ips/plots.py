"""The pictures of docs/ips-reproduction.md, from table.json alone: `python -m benchmarks.ips.plots` draws them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from benchmarks.ips.figures import Curve, Experiment, Findings, Row
from benchmarks.ips.table import PAGE, SIZES, read, shown

IMAGES = PAGE.parent / "images"
COLOURS = {
    "GRPO + entropy": "#6a9a3b",
    "GRPO": "#4d4d4d",
    "IPS-GRPO": "#c8102e",
    "soft count": "#2a7f9e",
    "history bonus": "#8a6fb3",
    "weights after normalisation": "#d9822b",
    "IPS, mean dynamics": "#c8102e",
}
STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ips",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def colour(label: str) -> str:
    """Of a method, whatever was swept."""
    return next((c for name, c in COLOURS.items() if label == name or label.startswith(f"{name} ")), "#000000")


def draw(found: Findings) -> None:
    """Every picture whose experiment is there."""
    IMAGES.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, (experiment, drawing) in DRAWINGS.items():
            if experiment in found.experiments:
                figure = drawing(found.experiments[experiment])
                # No date and fixed ids: the same figures give the same file.
                figure.savefig(picture(name), metadata={"Date": None, "Creator": None})


def picture(name: str) -> Path:
    """Where a picture stands."""
    return IMAGES / f"ips-{name}.svg"


def flows(found: Experiment) -> Figure:
    """Log-ratios along the three flows."""
    panels = list(dict.fromkeys(c.panel for c in found.curves))
    figure, axes = _figure(1, len(panels), 8.4, 2.6)
    for axis, panel in zip(axes, panels, strict=True):
        for one, style in zip((c for c in found.curves if c.panel == panel), ("-", "--"), strict=True):
            shade = COLOURS["IPS-GRPO" if panel == "IPS" else "GRPO"]
            axis.plot(one.x, one.y, style, color=shade, label=one.label)
        axis.set(title=panel, xlabel="time", ylim=(-19, 1.5))
    axes[0].set_ylabel("log-ratio to the best outcome")
    axes[0].legend(loc="lower left")
    return figure


def threshold(found: Experiment) -> Figure:
    """Share of the minority over the group size."""
    panels = list(dict.fromkeys(c.panel for c in found.curves))
    figure, axes = _figure(1, len(panels), 8.4, 3.3)
    for axis, panel in zip(axes, panels, strict=True):
        for one in (c for c in found.curves if c.panel == panel):
            if one.low:
                _points(axis, one)
            else:
                axis.plot(one.x, one.y, "-", color=colour(one.label), label=one.label, lw=1)
        axis.axvline(5, color="#999999", lw=0.8, ls=":")
        axis.axhline(0.2, color="#999999", lw=0.8, ls=":")
        axis.text(5.2, 0.235, "1 + r₁/r₂ = 5", color="#666666")
        axis.set_xscale("log", base=2)
        axis.set_xticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
        axis.set(title=panel, xlabel="group size G", ylim=(-0.01, 0.25))
    axes[0].set_ylabel("share of the outcome of reward 1 (other: 4)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def branching(found: Experiment) -> Figure:
    """Share of the rarer of two equal outcomes over training."""
    figure, axes = _figure(1, 1, 6.2, 3.0)
    for one in found.curves:
        _band(axes[0], one)
    axes[0].axhline(0.5, color="#999999", lw=0.8, ls=":")
    axes[0].set(xlabel="step", ylabel="share of the rarer outcome", ylim=(0, 0.52))
    figure.legend(loc="outside right center")
    return figure


def recovery(found: Experiment) -> Figure:
    """Recovered share over G and ε, and methods at G = 16."""
    figure, axes = _figure(1, 3, 9.6, 3.3)
    for axis, start in zip(axes[:2], ("uniform start", "skewed start"), strict=True):
        for epsilon, style in ((0, "-"), (0.1, "--"), (0.25, "-."), (0.5, ":")):
            own = {_size(r): r for r in found.rows if f", ε = {epsilon:g}, {start}, std" in r.setting}
            # Below 1/G ε changes nothing: the line goes on where that of ε = 0 is.
            x = [g for g in SIZES if g in own]
            _line(axis, x, [own[g] for g in x], "found", f"IPS-GRPO, ε = {epsilon:g}", COLOURS["IPS-GRPO"], style)
        own = {g: r for g in SIZES for r in found.rows if r.setting == f"G = {g}, {start}, std"}
        x = [g for g in SIZES if g in own]
        _line(axis, x, [own[g] for g in x], "found", "GRPO", COLOURS["GRPO"], "-")
        axis.axhline(1 - (11 / 12) ** 12, color="#999999", lw=0.8, ls=":")
        axis.set_xscale("log", base=2)
        axis.set_xticks([4, 8, 16, 32, 64], ["4", "8", "16", "32", "64"])
        axis.set(title=start, xlabel="group size G", ylim=(0, 0.7))
    axes[0].set_ylabel("found among 12 samples")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    rows = shown([r for r in found.rows if r.setting == "methods, skewed start, std"], "found")
    _bars(axes[2], rows, "found", 0.7)
    axes[2].set_title("methods, skewed start, G = 16")
    return figure


def grid(found: Experiment) -> Figure:
    """Distributions over the cells, and the distance of each method."""
    figure, axes = _figure(1, 4, 9.6, 2.6)
    for axis, one in zip(axes[:3], found.curves, strict=True):
        axis.imshow(np.reshape(one.y, (8, 8)), cmap="magma_r", vmin=0, vmax=0.25)
        axis.set(xticks=[], yticks=[])
        axis.set_title(one.label, fontsize=8)
    figure.colorbar(axes[0].images[0], ax=axes[2], shrink=0.8)
    rows = [r for r in found.rows if r.setting == "R0 = 0.1, G = 256, std"]
    _bars(axes[3], shown(rows, "l1 a cell", lowest=True), "l1 a cell", 0.03)
    axes[3].set_title("ℓ1 a cell")
    return figure


def tasks(found: Experiment) -> Figure:
    """Recovery by method, and over group sizes."""
    figure, axes = _figure(1, 4, 10.4, 2.8)
    for axis, size_axis, name in ((axes[0], axes[1], "causal"), (axes[2], axes[3], "Boolean")):
        rows = shown([r for r in found.rows if r.setting == f"{name}, G = 64"], "recovery")
        _bars(axis, rows, "recovery", 0.7)
        axis.set_title(name)
        axis.axvline(found.facts[f"{name}: recovery of the uniform law"], color="#999999", lw=0.8, ls=":")
        for method in ("GRPO", "IPS-GRPO"):
            own = {
                g: r
                for g in (16, 64, 256)
                for r in found.rows
                if r.setting == f"{name}, G = {g}" and r.method == method
            }
            _line(size_axis, list(own), list(own.values()), "recovery", method, COLOURS[method], "-")
        size_axis.set_xscale("log", base=2)
        size_axis.set_xticks([16, 64, 256], ["16", "64", "256"])
        size_axis.set(title=f"{name}, over G", xlabel="group size G", ylim=(0, 0.7))
    axes[1].legend(loc="center right")
    return figure


def transformers(found: Experiment) -> Figure:
    """Share of the largest mode over training."""
    panels = list(dict.fromkeys(c.panel for c in found.curves))
    figure, axes = _figure(1, len(panels), 8.4, 2.8)
    for axis, panel in zip(axes, panels, strict=True):
        for one in (c for c in found.curves if c.panel == panel):
            _band(axis, one)
        axis.set(title=panel, xlabel="step", ylim=(0, 1.02))
    axes[0].set_ylabel("share of the largest mode")
    axes[0].legend(loc="lower left")
    return figure


DRAWINGS: dict[str, tuple[str, Callable[[Experiment], Figure]]] = {
    "flows": ("identities", flows),
    "threshold": ("threshold", threshold),
    "paths": ("branching", branching),
    "recovery": ("recovery", recovery),
    "grid": ("grid", grid),
    "tasks": ("tasks", tasks),
    "transformers": ("transformers", transformers),
}
"""By name: the experiment, and the drawing."""


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.ravel(figure.subplots(rows, columns, squeeze=False)))


def _band(axis: Axes, one: Curve) -> None:
    axis.plot(one.x, one.y, color=colour(one.label), label=one.label, lw=1.5)
    axis.fill_between(one.x, one.low, one.high, color=colour(one.label), alpha=0.2, lw=0)


def _points(axis: Axes, one: Curve) -> None:
    off = [np.subtract(one.y, one.low), np.subtract(one.high, one.y)]
    axis.errorbar(one.x, one.y, off, fmt="o", ms=4, color=colour(one.label), label=f"{one.label}, sampled", capsize=2)


def _line(axis: Axes, x: Sequence[int], rows: Sequence[Row], figure: str, label: str, shade: str, style: str) -> None:
    own = [r.figures[figure] for r in rows]
    axis.plot(x, [e.value for e in own], style, marker="o", ms=3, color=shade, label=label, lw=1.2)
    axis.fill_between(x, [e.low for e in own], [e.high for e in own], color=shade, alpha=0.15, lw=0)


def _bars(axis: Axes, rows: Sequence[Row], figure: str, top: float) -> None:
    own = [r.figures[figure] for r in rows]
    off = [[e.value - e.low for e in own], [e.high - e.value for e in own]]
    axis.barh(
        range(len(rows)), [e.value for e in own], xerr=off, color=[colour(r.method) for r in rows], ecolor="#222222"
    )
    axis.set_yticks(range(len(rows)), [r.method for r in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, top)


def _size(r: Row) -> int:
    return int(r.setting.removeprefix("G = ").partition(",")[0])


if __name__ == "__main__":
    draw(read())
