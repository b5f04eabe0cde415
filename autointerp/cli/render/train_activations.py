"""Prints what `autointerp train activations` did."""

from collections.abc import Iterator
from dataclasses import asdict

from autointerp.cli.printing import tell
from autointerp.commands.train_activations import TrainActivations
from autointerp.jobs.train_activations import Stored


def show(result: Stored, settings: TrainActivations, *, as_json: bool) -> int:
    """Prints what was stored and what comes next."""
    left_out = [asdict(one) for one in result.left_out]
    value = result._asdict() | {"about": result.about.model_dump(mode="json"), "left_out": left_out}
    return tell(_lines(result), value, as_json=as_json)


def _lines(result: Stored) -> Iterator[str]:
    about = result.about
    yield from (f"left out: {one}" for one in result.left_out)
    yield (
        f"{result.n_tokens:,} tokens of {result.n_images:,} images in {result.n_groups:,} groups, {about.backbone} "
        f"{about.reads}{f' -> {about.writes}' if about.writes else ''}, {result.n_bytes / 1e6:,.1f} MB "
        f"-> {result.folder}"
    )
    yield f"next: autointerp train transcoder {result.folder} --out CODER"
