"""Prints what `autointerp train transcoder` did."""

from collections.abc import Iterator

from autointerp.cli.printing import tell
from autointerp.commands.train_transcoder import TrainTranscoder
from autointerp.jobs.train_transcoder import Trained


def show(result: Trained, settings: TrainTranscoder, *, as_json: bool) -> int:
    """Prints where the coder is, and its figures on held-out tokens."""
    value = {"coder": str(result.folder)} | result.info.model_dump(mode="json")
    return tell(_lines(result), value, as_json=as_json)


def _lines(result: Trained) -> Iterator[str]:
    info = result.info
    yield f"{info.config.kind} of {info.model}, {info.reads} to {info.writes} -> {result.folder}"
    held_out = info.training.held_out if info.training else None
    if held_out is None:
        return
    yield f"on {held_out.tokens:,} tokens held out, {held_out.dead_share:.1%} of the latents never fire"
    for width, fvu, l0 in zip(info.config.widths, held_out.fvu, held_out.l0, strict=True):
        yield f"  first {width:>6,} latents: {fvu:.4f} of the variance unexplained, {l0:.1f} on a token"
