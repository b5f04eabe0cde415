"""The tables of docs/ips-reproduction.md, from table.json alone: `python -m benchmarks.ips.table` puts them there."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.figures import put_tables
from benchmarks.ips.figures import Estimate, Experiment, Findings, Row, best

HERE = Path(__file__).parent
JSON = HERE / "table.json"
PAGE = HERE.parent.parent / "docs/ips-reproduction.md"
ENTROPY = "GRPO + entropy"
AFTER = "weights after normalisation"
SIZES = (4, 8, 16, 32, 64)


def read() -> Findings:
    """table.json."""
    return Findings.model_validate_json(JSON.read_text())


def tables(found: Findings) -> dict[str, str]:
    """The page's tables as Markdown, by name, of the experiments that are there."""
    out: dict[str, str] = {}
    for name, (experiments, make) in TABLES.items():
        if all(e in found.experiments for e in experiments):
            out[name] = make(*(found.experiments[e] for e in experiments))
    spent = ", ".join(f"{name} {e.seconds:.0f} s" for name, e in found.experiments.items())
    own = sum(e.seconds for name, e in found.experiments.items() if name != "transformers") / 60
    every = sum(e.seconds for e in found.experiments.values()) / 60
    out["seconds"] = f"{every:.1f} minutes ({own:.1f} without the transformers) on {found.machine}: {spent}."
    return out


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_tables(PAGE, tables(read()), "ips")


def identities(found: Experiment) -> str:
    """What is left over of each identity."""
    n = round(found.facts["problems"])
    shares = {k: v for k, v in found.facts.items() if "share" in k}
    other = {k: v for k, v in found.facts.items() if k not in shares and k != "problems"}
    lines = [[k, f"{v:.1e}"] for k, v in other.items()]
    lines += [[k, f"{100 * v:.0f} %"] for k, v in shares.items()]
    return markdown(["identity or inequality", f"largest value over {n} random problems"], lines)


def threshold(found: Experiment) -> str:
    """Survival of the minority by group size."""
    own = {(r.setting, r.method): r.figures["p2"] for r in found.rows}
    sizes = [r.setting.removeprefix("G = ") for r in found.rows if r.method == "GRPO"]
    head = ["G", "mean dynamics rest at", "IPS-GRPO, sampled", "without the std: rest at", "sampled", "GRPO", AFTER]
    lines: list[list[str]] = []
    for g in sizes:
        plain, mean = f"G = {g}", f"G = {g}, mean only"
        rests = (found.facts[f"rests at, {plain}"], found.facts[f"rests at, {mean}"])
        sampled = (own[plain, "IPS-GRPO"], own[mean, "IPS-GRPO"], own[plain, "GRPO"], own[plain, AFTER])
        one, two, *others = (within(e) for e in sampled)
        lines.append([g, f"{rests[0]:.3f}", one, f"{rests[1]:.3f}", two, *others])
    return markdown(head, lines)


def ratios(found: Experiment) -> str:
    """Least group sizes."""
    asked = [k.removeprefix("least group by the formula, ") for k in found.facts if "by the formula" in k]
    lines = [[r, *(f"{found.facts[k.format(r)]:.0f}" for k in _LEAST)] for r in asked]
    return markdown(["r₁/r₂", "least G by enumeration", "least G > 1 + r₁/r₂"], lines)


_LEAST = ("least group for a ratio of {}", "least group by the formula, {}")


def branching(found: Experiment) -> str:
    """Both outcomes by method at G = 16, and at other sizes."""
    head = ["", "35 paths", "7 paths", "the rarer of both", "seeds with one above .9"]
    rows = [*shown([r for r in found.rows if r.setting == "G = 16"], "smaller")]
    rows += [r for r in found.rows if r.setting != "G = 16"]
    keys = ("35 paths", "7 paths", "smaller", "kept one")
    return markdown(head, [[f"{r.method}, {r.setting}", *(within(r.figures[k]) for k in keys)] for r in rows])


def recovery_methods(found: Experiment) -> str:
    """Found among 12 samples, by method, start and normalisation."""
    columns = [(s, n) for s in ("uniform", "skewed") for n in ("std", "mean")]
    head = ["G = 16", *(f"{s} start{'' if n == 'std' else ', without the std'}" for s, n in columns)]
    head.append("validity, skewed start")
    cells: dict[str, list[str]] = {}
    for s, n in columns:
        for r in shown([r for r in found.rows if r.setting == f"methods, {s} start, {n}"], "found"):
            entropy = r.method.startswith(ENTROPY)
            cell = within(r.figures["found"]) + (f" ({r.method.removeprefix(ENTROPY).strip()})" if entropy else "")
            cells.setdefault(ENTROPY if entropy else r.method, []).append(cell)
            if (s, n) == ("skewed", "std"):
                cells.setdefault(f"valid {ENTROPY if entropy else r.method}", []).append(within(r.figures["valid"]))
    lines = [[m, *c, *cells[f"valid {m}"]] for m, c in cells.items() if not m.startswith("valid ")]
    return markdown(head, lines)


def recovery_grid(found: Experiment) -> str:
    """Found among 12 samples over G and ε."""
    lines: list[list[str]] = []
    for start in ("uniform start", "skewed start"):
        for scale in ("std", "mean"):
            own = {r.setting: r.figures["found"] for r in found.rows if r.setting.endswith(f", {start}, {scale}")}
            what = f"{start}{'' if scale == 'std' else ', without the std'}"
            epsilons = ("0", "0.1", "0.25", "0.5") if scale == "std" else ("0",)
            keys = [("GRPO", "")] + [(f"IPS-GRPO, ε = {e}", f", ε = {e}") for e in epsilons]
            for label, part in keys:
                cells = (own.get(f"G = {g}{part}, {start}, {scale}") for g in SIZES)
                lines.append([f"{label}, {what}", *("as ε = 0" if c is None else within(c) for c in cells)])
    return markdown(["", *(f"G = {g}" for g in SIZES)], lines)


def recovery_matters(found: Experiment) -> str:
    """What else moves IPS-GRPO's figure."""
    rows = [r for r in found.rows if r.setting.startswith(("spread", "rate", "steps"))]
    keys = ("found", "kept", "valid")
    head = [
        "IPS-GRPO, G = 16, skewed start unless said",
        "found among 12 samples",
        "outcomes with p ≥ 1/120",
        "validity",
    ]
    return markdown(head, [[r.setting, *(within(r.figures[k]) for k in keys)] for r in rows])


def placement(at: Experiment, paths: Experiment, twelve: Experiment) -> str:
    """Inside the reward, after normalisation, and none, in three settings."""
    names = ("GRPO", "IPS-GRPO", AFTER)
    asked = (
        ("rewards 4 and 1, G = 16: share of the second", at.rows, "G = 16", "p2"),
        ("35 and 7 paths, equal rewards: share of the rarer", paths.rows, "G = 16", "smaller"),
        ("12 of 60, equal rewards, uniform start: found", twelve.rows, "methods, uniform start, std", "found"),
        ("12 of 60, equal rewards, skewed start: found", twelve.rows, "methods, skewed start, std", "found"),
    )
    lines: list[list[str]] = []
    for label, rows, setting, key in asked:
        own = {r.method: r.figures[key] for r in rows if r.setting == setting}
        lines.append([label, *(within(own[m]) for m in names)])
    return markdown(["", "no weights (GRPO)", "inside the reward (IPS-GRPO)", "after normalisation"], lines)


def grid(found: Experiment) -> str:
    """Distances and modes in the setting of the paper's figures."""
    head = ["R₀ = 0.1, G = 256", "ℓ1 a cell (mean over 64)", "ℓ1 (sum)", "share on the four modes", "modes kept"]
    rows = shown([r for r in found.rows if r.setting == "R0 = 0.1, G = 256, std"], "l1", lowest=True)
    keys = (("l1 a cell", 4), ("l1", 2), ("modes", 2), ("modes kept", 2))
    return markdown(head, [[r.method, *(within(r.figures[k], d) for k, d in keys)] for r in rows])


def grid_settings(found: Experiment) -> str:
    """ℓ1 a cell of GRPO and IPS-GRPO in every setting."""
    settings = list(dict.fromkeys(r.setting for r in found.rows))
    own = {(r.setting, r.method): r.figures["l1 a cell"] for r in found.rows}
    lines = [[s.replace("R0", "R₀"), *(within(own[s, m], 4) for m in ("GRPO", "IPS-GRPO"))] for s in settings]
    return markdown(["ℓ1 a cell", "GRPO", "IPS-GRPO"], lines)


def tasks(found: Experiment) -> str:
    """Validity and recovery by task and method."""
    head = ["", "valid", "recovery in N samples", "recovery in 4 N samples"]
    lines: list[list[str]] = []
    for name in ("causal", "Boolean"):
        main = shown([r for r in found.rows if r.setting == f"{name}, G = 64"], "recovery")
        others = [r for r in found.rows if r.setting.startswith(name) and r.setting != f"{name}, G = 64"]
        for r in (*(r for r in others if "untrained" in r.setting), *main):
            lines.append(_task(r))
        lines += [_task(r) for r in sorted(others, key=lambda r: r.setting) if "untrained" not in r.setting]
        lines.append([f"{name}: every admissible one alike", "1", f"{found.facts[_UNIFORM.format(name)]:.3f}", ""])
    return markdown(head, lines)


_UNIFORM = "{}: recovery of the uniform law"


def _task(r: Row) -> list[str]:
    label = r.setting if "untrained" in r.setting else f"{r.setting}: {r.method}"
    return [label, *(within(r.figures[k]) for k in ("valid", "recovery", "recovery in 4 N"))]


def paraphrase(found: Experiment) -> str:
    """Shares of both concepts."""
    head = ["", "share of A (20 wordings)", "share of B (1 wording, earns 1)", "A by the exact flow"]
    lines: list[list[str]] = []
    for r in found.rows:
        law = found.facts.get(f"A {r.method}, reward {r.setting.removeprefix('A earns ')}")
        name = r.method if r.method == "GRPO" else f"IPS-GRPO, outcome {r.method}"
        exact = "–" if law is None else f"{law:.3f}"
        lines.append([f"{r.setting}: {name}", within(r.figures["A"]), within(r.figures["B"]), exact])
    return markdown(head, lines)


def transformers(found: Experiment) -> str:
    """Final figures by kind of prompt and method."""
    head = ["", "ℓ1 to the law ∝ reward (0 to 2)", "modes with half their due", "largest share", "validity", "seeds"]
    lines: list[list[str]] = []
    for r in found.rows:
        cells = (within(r.figures[k]) for k in ("l1", "found", "largest", "valid"))
        lines.append([f"{r.setting}: {r.method}", *cells, str(r.figures["l1"].n)])
    return markdown(head, lines)


TABLES: dict[str, tuple[Sequence[str], Callable[..., str]]] = {
    "identities": (("identities",), identities),
    "threshold": (("threshold",), threshold),
    "ratios": (("threshold",), ratios),
    "branching": (("branching",), branching),
    "recovery methods": (("recovery",), recovery_methods),
    "recovery grid": (("recovery",), recovery_grid),
    "recovery matters": (("recovery",), recovery_matters),
    "placement": (("threshold", "branching", "recovery"), placement),
    "grid": (("grid",), grid),
    "grid settings": (("grid",), grid_settings),
    "tasks": (("tasks",), tasks),
    "paraphrase": (("paraphrase",), paraphrase),
    "transformers": (("transformers",), transformers),
}
"""By name: the experiments that it is made of, and how."""


def shown(rows: Sequence[Row], figure: str, *, lowest: bool = False) -> list[Row]:
    """One row a method: of the swept entropy bonuses the best in a figure."""
    swept = [r for r in rows if r.method.startswith(ENTROPY)]
    one = min(swept, key=lambda r: r.figures[figure].value) if lowest else best(swept, figure)
    return [r for r in rows if r is one or not r.method.startswith(ENTROPY)]


def within(e: Estimate, digits: int = 3) -> str:
    """Value [low, high]."""
    return f"{e.value:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]"


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(head), *rows[1:]])


if __name__ == "__main__":
    put()
