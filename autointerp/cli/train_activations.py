"""The command `train activations`, and the lines by which a pass over images says how far it is."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli import options as o

EVERY = 5.0
"""Seconds between lines of progress."""


def activations(
    images: Annotated[Path, typer.Argument(help="Folder of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    backbone: Annotated[
        str,
        typer.Option("--backbone", help="dinov2-small, timm:NAME or hf:NAME; `:random` after it for fresh weights."),
    ] = "dinov2-small",
    reads: Annotated[
        str, typer.Option("--reads", help="Hookpoint of the inputs: what the layer reads.")
    ] = "blocks.8.mlp.in",
    writes: Annotated[
        str,
        typer.Option("--writes", help="Hookpoint of the targets: what it writes; `none` stores inputs alone."),
    ] = "blocks.8.mlp.out",
    tokens_per_image: Annotated[
        int | None, typer.Option("--tokens-per-image", min=1, help="Patches drawn of each image. [default: all]")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="CSV with the columns path, label and perhaps group: only images that it lists, and those of one "
            "group stay together.",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="`float16`, `bfloat16` or `float32`.")] = "float16",
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the drawn patches, and of a `:random` backbone's weights.")
    ] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images run at once.")] = 16,
    device: Annotated[str, typer.Option("--device", help="As torch names it: cpu, cuda, cuda:1, mps.")] = "cpu",
    json: o.JSON = False,
) -> None:
    """Store what a layer of a vision model reads and writes on a folder of images, for coders to learn from.

    Near-duplicates form groups, which a coder's held-out split keeps together. A pass that was stopped leaves no
    store; the same command begins it anew.

    Example: `autointerp train activations images/ --out activations/`
    """
    from autointerp.cli.build import build_settings, print_json
    from autointerp.needs import TRAIN, need

    need("training", TRAIN, "train")
    from autointerp.jobs.storing import StoreSettings, store_activations

    settings = build_settings(
        StoreSettings,
        reads=reads,
        writes=None if writes == "none" else writes,
        tokens_per_image=tokens_per_image,
        dtype=dtype,
        seed=seed,
        batch=batch,
    )
    made = store_activations(
        images,
        out,
        backbone=backbone,
        labels=labels,
        settings=settings,
        device=device,
        reading=Lines("files read"),
        progress=Lines("images run"),
    )
    if json:
        print_json(made._asdict() | {"about": made.about.model_dump(mode="json")})
        return
    if made.broken:
        typer.echo(f"left out, since they cannot be read: {len(made.broken):,}; the first: {made.broken[0]}")
    about = made.about
    typer.echo(
        f"{made.n_tokens:,} tokens of {made.n_images:,} images in {made.n_groups:,} groups, {about.backbone} "
        f"{about.reads}{f' -> {about.writes}' if about.writes else ''}, {made.n_bytes / 1e6:,.1f} MB -> {made.folder}"
    )
    typer.echo(f"next: autointerp train transcoder {made.folder} --out CODER")


class Lines:
    """Says on stderr how far a pass is, every few seconds and at its end.

    Args:
        what: is counted, in words.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began: float | None = None
        self._said = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Told after each step: done and all."""
        at = time.monotonic()
        if self._began is None:
            self._began = self._said = at
        if done < total and at - self._said < EVERY:
            return
        self._said = at
        left = (total - done) * (at - self._began) / max(done, 1)
        sys.stderr.write(f"{self._what}: {done:,}/{total:,}" + (f", {left:,.0f} s left" if done < total else "") + "\n")
        sys.stderr.flush()
