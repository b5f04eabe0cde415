"""The tables of the small transformers: `python -m benchmarks.ips.many.written_tables` puts them."""

from collections.abc import Sequence

from benchmarks.figures import put_tables
from benchmarks.ips.many.cells import PAGE, Found, read
from benchmarks.ips.many.domains import SIZES
from benchmarks.ips.many.reasoning import ENTROPY
from benchmarks.ips.many.reasoning_tables import label, signed
from benchmarks.ips.many.written import BY_SMILES, JSON, MOLECULES, ORDER, WARM_STARTED
from benchmarks.ips.methods import IPS
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
    reasoned = [t for t in own if t != MOLECULES]
    out: dict[str, str] = {}
    if reasoned:
        out["written reasoning"] = reasoning(found, reasoned)
    if MOLECULES in own:
        out["written molecules"] = molecules(found)
    out["written differences"] = differences(found, reasoned, MOLECULES in own)
    out["written seconds"] = f"{found.seconds / 60:.1f} minutes by the clock on {found.machine}."
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


def molecules(found: Found) -> str:
    """Every figure of what is written."""
    lines: list[list[str]] = []
    for m in (*ORDER, BY_SMILES):
        values = [
            "–"
            if m == WARM_STARTED and k.startswith("found")
            else within(found.estimate(MOLECULES, GROUP, m, k, 1e6 if "scaffolds" in k or "found" in k else 1.0), 2)
            for k in HEADS
        ]
        lines.append([shown(found, MOLECULES, m), *values])
    return markdown(["G = 16, QED", *HEADS.values()], lines)


def differences(found: Found, reasoned: Sequence[str], chemical: bool) -> str:
    """IPS-GRPO less each other method; seconds of processor time a run beside them."""
    lines: list[list[str]] = []
    for tasks, performance, many in ((list(reasoned), "valid", "recovery"), ([MOLECULES], "mean", "good scaffolds")):
        if not tasks or (tasks == [MOLECULES] and not chemical):
            continue
        name = "molecules" if tasks == [MOLECULES] else "reasoning"
        for m in ORDER[1:-1]:
            cells = [signed(found, tasks, GROUP, (IPS.name, m), k) for k in ("largest", performance, many)]
            spent = [sum(found.of(t, GROUP, one).seconds for t in tasks) for one in (IPS.name, m)]
            lines.append([f"{name}: {label(m)}", *cells, f"{spent[0] / spent[1]:.2f}"])
    head = ["IPS-GRPO less", "largest share", "validity, or mean reward", "recovery, or good scaffolds", "time, ratio"]
    return markdown(head, lines)


def shown(found: Found, task: str, method: str) -> str:
    """A method, with the coefficient of its entropy."""
    coefficient = found.of(task, GROUP, method).coefficient
    return f"GRPO + entropy {coefficient:g}" if method == ENTROPY else label(method)


if __name__ == "__main__":
    put(read(JSON))
