"""What `autointerp train activations` prints."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.train_activations import TrainActivations
    from autointerp.jobs.train_activations import Stored


def show(result: "Stored", settings: "TrainActivations", *, as_json: bool) -> int:
    """Prints what was stored and what comes next."""
    about = result.about
    if as_json:
        left_out = [asdict(one) for one in result.left_out]
        say_json(result._asdict() | {"about": about.model_dump(mode="json"), "left_out": left_out})
        return 0
    for one in result.left_out:
        say(f"left out: {one}")
    say(
        f"{result.n_tokens:,} tokens of {result.n_images:,} images in {result.n_groups:,} groups, {about.backbone} "
        f"{about.reads}{f' -> {about.writes}' if about.writes else ''}, {result.n_bytes / 1e6:,.1f} MB "
        f"-> {result.folder}"
    )
    say(f"next: autointerp train transcoder {result.folder} --out CODER")
    return 0
