"""The tables of docs/reliability.md, from table.json: `python -m benchmarks.reliability.table` puts them there."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import put_tables
from benchmarks.reliability.faults import FAULTS
from benchmarks.reliability.kills import Struck
from benchmarks.reliability.matrix import MODES, RATES, Cell

JSON = Path(__file__).parent / "table.json"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
Facts = dict[str, int | dict[str, int]]
"""`features`, `seed`, and `seconds` of processor time by mode."""


@dataclass(frozen=True)
class Found:
    """What table.json holds."""

    facts: Facts
    cells: list[dict]
    struck: list[dict]


def write(cells: Sequence[Cell], struck: Sequence[Struck], facts: Facts) -> None:
    """Writes table.json; what it has of other modes stays, if it is of as many features and the same seed."""
    found = Found(facts, [asdict(c) for c in cells], [asdict(s) for s in struck])
    if JSON.exists():
        there = read()
        same = (there.facts["features"], there.facts["seed"]) == (facts["features"], facts["seed"])
        now = {c.mode for c in cells}
        if same:
            found.cells.extend(c for c in there.cells if c["mode"] not in now)
            found.struck.extend([] if struck else there.struck)
            found.facts["seconds"] = there.facts["seconds"] | facts["seconds"]
    JSON.write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False) + "\n")


def read() -> Found:
    """table.json."""
    return Found(**json.loads(JSON.read_text()))


def tables() -> dict[str, str]:
    """The page's tables as Markdown, by name."""
    found = read()
    cells, struck = [Cell(**c) for c in found.cells], [Struck(**s) for s in found.struck]
    seconds = found.facts["seconds"]
    return {
        "matrix": matrix(cells),
        "found": unsound(cells),
        "strikes": strikes(struck),
        "facts": (
            f"{found.facts['features']} features, seed {found.facts['seed']}: {len(cells)} cells with "
            f"{sum(c.struck for c in cells):,} faults, and {sum(s.strikes for s in struck)} strikes. Processor time: "
            + ", ".join(f"{name} {spent} s" for name, spent in seconds.items())
            + "."
        ),
    }


def matrix(cells: Sequence[Cell]) -> str:
    """Lost / paid twice / posing as data, or a plain 0 where all three are; faults with the same row share it."""
    by_place = {(c.fault, c.mode, c.rate): c for c in cells}
    places = [(m, r) for m in MODES for r in RATES if any((f, m, r) in by_place for f in FAULTS)]
    head = "| fault | " + " | ".join(f"{m}, {r:.0%}" for m, r in places) + " |"
    faults: dict[str, list[str]] = {}
    for fault in FAULTS:
        if any((fault, m, r) in by_place for m, r in places):
            row = " | ".join(_short(by_place.get((fault, m, r))) for m, r in places)
            faults.setdefault(row, []).append(fault)
    rows = [f"| {'; '.join(names)} | {row} |" for row, names in faults.items()]
    return "\n".join([head, "|---|" + "---|" * len(places), *rows])


def _short(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    figures = (cell.lost, cell.paid_twice, cell.posing)
    return "0" if not any(figures) else " / ".join(map(str, figures))


def unsound(cells: Sequence[Cell]) -> str:
    """What is not as it should be; cells that differ in their rate alone share a row."""
    same: dict[str, list[Cell]] = {}
    for c in cells:
        if not c.sound or c.complaint:
            counts = f"{c.lost} | {c.paid_twice} | {c.posing} | {c.unanswered} | {c.code}, {c.again}"
            same.setdefault(f"{c.fault} | {c.mode} | {counts} | {c.complaint.replace('|', '/')}", []).append(c)
    rows = [f"| {row} | {', '.join(f'{c.struck} at {c.rate:.0%}' for c in found)} |" for row, found in same.items()]
    head = "| fault | mode | lost | paid twice | posing | scores without some answers | exit codes | message | struck |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *rows]) if rows else "Nothing."


def strikes(struck: Sequence[Struck]) -> str:
    """A row a command and signal."""
    rows = [
        f"| `{s.command}` | {s.signal} | {s.strikes} | {s.runs} | {s.lost} | {s.differing} | {s.paid_twice} | "
        + ", ".join(f"{code} ({n})" for code, n in sorted(s.codes.items()))
        + " |"
        for s in struck
    ]
    head = "| command | signal | strikes | runs | lost | differing | paid twice | exit codes |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_tables(PAGE, tables(), "reliability")


if __name__ == "__main__":
    put()
