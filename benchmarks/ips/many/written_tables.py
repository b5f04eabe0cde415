"""The tables of the small transformers: `python -m benchmarks.ips.many.written_tables` puts them."""

from collections.abc import Sequence

from benchmarks.figures import put_tables
from benchmarks.ips.many.cells import PAGE, Found, read
from benchmarks.ips.many.domains import SIZES
from benchmarks.ips.many.reasoning import ENTROPY
from benchmarks.ips.many.reasoning_tables import label, signed
from benchmarks.ips.many.written import AT_EQUAL_TIME, BY_SMILES, JSON, ORDER, STEPS, TARGETS, TIMED, WARM_STARTED
from benchmarks.ips.methods import GRPO, IPS
from benchmarks.ips.table import markdown, within

GROUP = 16
HEADS = {
    "valid": "validity",
    "mean": "mean reward",
    "top": "best ten",
    "good scaffolds": "good scaffolds",
    "largest": "largest scaffold",
    "diversity": "internal diversity",
    "found a 1,000 calls": "found a 1,000 calls",
}


def put(found: Found) -> None:
    """Writes the page's tables."""
    put_tables(PAGE, tables(found), "ips-many")


def tables(found: Found) -> dict[str, str]:
    """By name; of the tasks that are there."""
    own = list(dict.fromkeys(c.task for c in found.cells))
    reasoned, chemical = [t for t in own if t not in TARGETS], [t for t in own if t in TARGETS]
    out = {"written reasoning": reasoning(found, reasoned)}
    if chemical:
        out["written molecules"] = molecules(found, chemical)
    out["written differences"] = differences(found, reasoned, chemical)
    out["written sweeps"] = sweeps(found)
    out["written time"] = times(found, [t for t in own if t in AT_EQUAL_TIME])
    spent = found.facts["training, processor seconds"] / 60
    out["written seconds"] = f"{spent:.0f} minutes of processor time in training, sweeps included, on {found.machine}."
    return out


def reasoning(found: Found, tasks: Sequence[str]) -> str:
    """Validity, uniqueness, recovery, largest share; recovery by size."""
    keys = ("valid", "unique", "recovery", "largest")
    head = ["G = 16", "validity", "uniqueness", "recovery", "largest share", *(f"recovery, N = {s}" for s in SIZES)]
    lines: list[list[str]] = []
    for t in tasks:
        for m in ORDER:
            own = found.of(t, GROUP, m)
            values = [within(found.estimate(t, GROUP, m, k), 2) for k in keys]
            sizes = [f"{own.mean(f'recovery {s}'):.2f}" for s in SIZES]
            lines.append([f"{t}: {shown(found, t, m)}", *values, *sizes])
    return markdown(head, lines)


def molecules(found: Found, tasks: Sequence[str]) -> str:
    """Every figure of what is written."""
    lines: list[list[str]] = []
    for t in tasks:
        for m in (*ORDER, BY_SMILES):
            values = [
                "–"
                if m == WARM_STARTED and k.startswith("found")
                else within(found.estimate(t, GROUP, m, k, 1e6 if "scaffolds" in k or "found" in k else 1.0), 2)
                for k in HEADS
            ]
            lines.append([f"{TARGETS[t]}: {shown(found, t, m)}", *values])
    return markdown(["G = 16", *HEADS.values()], lines)


def differences(found: Found, reasoned: Sequence[str], chemical: Sequence[str]) -> str:
    """IPS-GRPO less each other method, at equal samples and, where that was run, at equal time."""
    asked = [("reasoning", list(reasoned)), *((t, [t]) for t in reasoned), *((TARGETS[t], [t]) for t in chemical)]
    lines: list[list[str]] = []
    for name, tasks in asked:
        scaffolds = tasks[0] in TARGETS
        keys = ("largest", *(("mean", "good scaffolds") if scaffolds else ("valid", "recovery")))
        for m in ORDER[1:-1]:
            cells: list[str] = []
            for end in ("", TIMED):
                pair = (IPS.name + end, m + end)
                ran = end == "" or all(t in AT_EQUAL_TIME for t in tasks)
                cells += [signed(found, tasks, GROUP, pair, k, 1 if " " in k else 3) if ran else "–" for k in keys]
            lines.append([f"{name}: {label(m)}", *cells])
    head = ("largest share", "validity, or mean reward", "recovery, or good scaffolds")
    return markdown(["IPS-GRPO less", *head, *(h + TIMED for h in head)], lines)


def sweeps(found: Found) -> str:
    """What each coefficient of the entropy did on the seeds that it was chosen on."""
    heads = dict.fromkeys(key.split(",")[0] for s in found.sweeps for key in s.means)
    lines: list[list[str]] = []
    for s in found.sweeps:
        own = {key.split(",")[0]: means for key, means in s.means.items()}
        chosen = f"{found.of(s.task, GROUP, ENTROPY).coefficient:g}"
        digits = 1 if s.task in TARGETS else 2
        values = [f"{own[h][0]:.2f}; {own[h][1]:.{digits}f}" for h in heads]
        lines.append([TARGETS.get(s.task, s.task), *values, chosen])
    head = "validity; recovery, or mean reward; good scaffolds"
    return markdown([head, *(f"entropy {h}" for h in heads), "chosen"], lines)


def times(found: Found, tasks: Sequence[str]) -> str:
    """Steps at equal time, and processor time over that of GRPO's steps: in all, and step by step."""
    lines: list[list[str]] = []
    for t in tasks:
        row = [TARGETS.get(t, t)]
        for m in ORDER[2:]:
            ratio = found.of(t, GROUP, m + TIMED).seconds / found.of(t, GROUP, GRPO.name + TIMED).seconds
            steps = int(found.settings[f"steps at equal time, {t}, {m}"])
            row.append(f"{steps} steps in {ratio:.2f} of the time; a step takes {ratio * STEPS / steps:.2f}")
        lines.append(row)
    return markdown([f"of GRPO's time for {STEPS} steps", *(label(m) for m in ORDER[2:])], lines)


def shown(found: Found, task: str, method: str) -> str:
    """A method, with the coefficient of its entropy."""
    coefficient = found.of(task, GROUP, method).coefficient
    return f"GRPO + entropy {coefficient:g}" if method == ENTROPY else label(method)


if __name__ == "__main__":
    put(read(JSON))
