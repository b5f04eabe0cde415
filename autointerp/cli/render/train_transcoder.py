"""What `autointerp train transcoder` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.train_transcoder import TrainTranscoder
    from autointerp.jobs.train_transcoder import Trained


def show(result: "Trained", settings: "TrainTranscoder", *, as_json: bool) -> int:
    """Prints where the coder is, and its figures on held-out tokens."""
    info = result.info
    if as_json:
        say_json({"coder": str(result.folder)} | info.model_dump(mode="json"))
        return 0
    say(f"{info.config.kind} of {info.model}, {info.reads} to {info.writes} -> {result.folder}")
    held_out = info.training.held_out if info.training else None
    if held_out is None:
        return 0
    say(f"on {held_out.tokens:,} tokens held out, {held_out.dead_share:.1%} of the latents never fire")
    for width, fvu, l0 in zip(info.config.widths, held_out.fvu, held_out.l0, strict=True):
        say(f"  first {width:>6,} latents: {fvu:.4f} of the variance unexplained, {l0:.1f} on a token")
    return 0
