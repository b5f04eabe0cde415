"""The short table of docs/scoring-measured.md, from table.json: `python -m benchmarks.truth.brief` puts it there."""

import json
from pathlib import Path

from benchmarks.figures import put_between

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs/scoring-measured.md"
JUDGES = ("perfect", "se .95 sp .98")
COLUMNS = ("judge", "protocol", "Spearman", "“an image”", "extra labels noticed", "halves noticed", "coverage", "calls")
MARKS = ("<!-- truth -->", "<!-- /truth -->")


def brief() -> str:
    """A row a judge and protocol, with the settings above them."""
    figures = json.loads((HERE / "table.json").read_text())
    of = figures["settings"]
    lines = [f"Of {of['features']} features in {of['images']:,} images, seed {of['seed']}:", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in figures["protocols"]:
        if row["judge"] in JUDGES:
            extras = [
                row[f"{kind}_{rate}"] for kind in ("extra_alike", "extra_unrelated") for rate in (0.1, 0.01, 0.001)
            ]
            cells = [row["judge"], row["protocol"], f"{row['spearman']:.2f}", f"{row['generic']:.2f}"]
            cells += [
                " / ".join(f"{100 * x:.0f}" for x in extras[:3])
                + " and "
                + " / ".join(f"{100 * x:.0f}" for x in extras[3:])
            ]
            cells += [
                f"{100 * row['missing_half']:.0f}",
                f"{row['covers_seen']:.3f}" if row.get("covers_seen") else "–",
            ]
            lines.append("| " + " | ".join([*cells, f"{row['calls']:.0f}"]) + " |")
    return "\n".join(lines)


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_between(PAGE, brief(), MARKS)


if __name__ == "__main__":
    put()
