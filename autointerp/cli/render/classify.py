"""Prints what `autointerp classify` found."""

from collections.abc import Iterator
from dataclasses import asdict

from rich.table import Table

from autointerp.cli.printing import plural, table, tell
from autointerp.commands.classify import Classify
from autointerp.jobs.classify import Applied


def show(result: Applied, settings: Classify, *, as_json: bool) -> int:
    """Prints the mean of each folder or value, and how good the probabilities are."""
    value = {
        "out": str(result.out),
        "n_images": result.n_images,
        "classifier": result.classifier.model_dump(),
        "calibration": result.calibration.model_dump(mode="json"),
        "all": result.all.model_dump(),
        "groups": [one.model_dump() for one in result.groups],
        "left_out": [asdict(one) for one in result.left_out],
    }
    return tell(_lines(result, settings), value, as_json=as_json)


def _lines(result: Applied, settings: Classify) -> Iterator[str | Table]:
    yield from (f"left out: {one}" for one in result.left_out)
    rows = (
        (
            one.name,
            f"{one.n_images:,}",
            f"{one.n_groups:,}",
            f"{one.probability:.3f} [{one.low:.3f}, {one.high:.3f}]",
            f"{one.above_half:.1%}",
        )
        for one in (*result.groups, *([result.all] if len(result.groups) > 1 else ()))
    )
    headings = (settings.by or "folder", "images", "groups", "mean probability, 95 %", "above one half")
    yield table(headings, rows)
    found = result.calibration
    yield (
        f"calibrated on {plural(found.n, 'image')} of validation; on the test part calibration error "
        f"{found.before.ece:.3f} -> {found.after.ece:.3f} ({found.after.ece_calibrated:.3f} if perfect), "
        f"Brier score {found.before.brier:.3f} -> {found.after.brier:.3f}"
    )
    yield f"{plural(result.n_images, 'image')}, classifier {result.classifier} -> {result.out}"
