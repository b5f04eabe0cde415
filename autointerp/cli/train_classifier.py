"""The command `train classifier`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from autointerp.jobs.classifying import Classified
    from autointerp.transcoder.classifier_training import Epoch


PLAIN_EVERY = 10.0
"""Seconds between plain lines."""


def classifier(
    images: Annotated[Path, typer.Argument(help="Folder of images.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="CSV with the columns path, label (1 = has a physical error, 0, or empty) and perhaps group. "
            "Without it, folders named plausible and implausible decide.",
        ),
    ] = None,
    error_folders: Annotated[
        list[str] | None,
        typer.Option("--error-folders", help="Folder whose images have an error, all others not; repeatable."),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option("--backbone", help="dinov2-small, timm:NAME or hf:NAME; `:random` after it for fresh weights."),
    ] = "dinov2-small",
    head: Annotated[
        str, typer.Option("--head", help="`mlp`, one hidden layer as in the paper, or `linear`, which gives a map.")
    ] = "mlp",
    hookpoint: Annotated[
        str | None,
        typer.Option(
            "--hookpoint",
            help="What the head reads; of patches, their mean. [default: pooled; for linear, the last block's patches]",
        ),
    ] = None,
    hidden: Annotated[int, typer.Option("--hidden", min=1, help="Hidden units of the mlp.")] = 256,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training part at most.")] = 500,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Stop after so many passes without a smaller validation loss.")
    ] = 20,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images a step.")] = 64,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of AdamW.")] = 1e-3,
    decay: Annotated[float, typer.Option("--decay", min=0.0, help="Weight decay of AdamW.")] = 0.01,
    balance: Annotated[
        bool, typer.Option("--balance/--no-balance", help="Weigh the labels so that both count the same.")
    ] = True,
    validation: Annotated[
        float, typer.Option("--validation-share", help="Share of images that training stops by.")
    ] = 0.15,
    test: Annotated[float, typer.Option("--test-share", help="Share of images that are only measured.")] = 0.15,
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Folder that keeps the backbone's vectors. [default: OUT/features]"),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where the backbone runs, e.g. cuda.")] = "cpu",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of split, first weights and order.")] = 0,
    json: o.JSON = False,
) -> None:
    """Train a physical plausibility classifier: a head on a frozen vision model.

    Near-duplicates, and images of one `group` of the CSV, never stand on both sides of the split. The figures are of
    images held out from training and from early stopping.

    Example: `autointerp train classifier images/ --out runs/classifier --head linear`
    """
    from autointerp.cli.build import build_settings, print_json
    from autointerp.needs import TRAIN, need

    need("training", TRAIN, "train")
    from autointerp.jobs.classifying import train_classifier
    from autointerp.transcoder.backbones.registry import load_backbone
    from autointerp.transcoder.classifier import ClassifierSettings

    values = {"head": head, "n_hidden": hidden, "epochs": epochs, "patience": patience, "batch": batch, "rate": rate}
    values |= {"decay": decay, "balance": balance, "validation_share": validation, "test_share": test, "seed": seed}
    settings = build_settings(ClassifierSettings, hookpoint=hookpoint, **values)
    model = load_backbone(backbone, seed=seed, device=device)
    with _watching() as watch:
        result = train_classifier(
            images,
            out,
            backbone=model,
            labels=labels,
            error_folders=error_folders or (),
            settings=settings,
            vectors=features,
            watch=watch,
        )
    if json:
        print_json({"folder": str(result.folder), "seconds": round(result.seconds, 3), **result.info.model_dump()})
    else:
        for line in _lines(result):
            typer.echo(line)


class _Live:
    """A live line for each stage on a terminal; elsewhere a plain line now and then."""

    def __init__(self, console: "Console", progress: "Progress") -> None:
        self._console = console
        self._progress = progress
        self._stages: dict[str, TaskID] = {}
        self._said = time.monotonic()

    def files(self, done: int, total: int) -> None:
        """Files that were read."""
        self._stage("files read", done, total)

    def vectors(self, done: int, total: int) -> None:
        """Images that went through the backbone."""
        self._stage("images through the backbone", done, total)

    def epoch(self, epoch: "Epoch") -> None:
        """One more pass."""
        words = f"training: loss {epoch.train:.3f}, validation {epoch.validation:.3f}, epochs"
        self._stage("training", epoch.number, None, words)

    def note(self, text: str) -> None:
        """Says one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _stage(self, name: str, done: int, total: int | None, words: str | None = None) -> None:
        if name not in self._stages:
            self._stages[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._stages[name], completed=done, description=words or name)
        if not self._console.is_terminal and time.monotonic() - self._said > PLAIN_EVERY:
            self._said = time.monotonic()
            self.note(f"{words or name}: {done:,}" + (f"/{total:,}" if total else ""))


@contextmanager
def _watching() -> Iterator[_Live]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(16), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Live(console, progress)


def _lines(result: "Classified") -> Iterator[str]:
    info = result.info
    test, constant = info.test_quality, info.constant_quality
    yield f"{'':22}{'images':>8}{'with error':>12}{'groups':>8}"
    for name, part in (("training", info.train), ("validation", info.validation), ("test", test)):
        yield f"{name:22}{part.n:>8}{part.n_positive:>12}{part.n_groups:>8}"
    yield f"{'on the test part':22}{'classifier':>12}{'constant':>12}"
    for words, field in (
        ("AUROC", "auroc"),
        ("accuracy", "accuracy"),
        ("Brier score", "brier"),
        ("log loss", "log_loss"),
        ("calibration error", "ece"),
    ):
        yield f"{words:22}{getattr(test, field):>12.3f}{getattr(constant, field):>12.3f}"
    yield (
        f"AUROC {test.auroc:.3f}, 95 % {test.auroc_low:.3f} to {test.auroc_high:.3f}; "
        f"a calibrated classifier's calibration error would be {test.ece_calibrated:.3f} here"
    )
    if info.n_unlabelled or info.n_broken:
        yield f"left out: {info.n_unlabelled} images without a label, {info.n_broken} files that cannot be read"
    yield (
        f"{info.settings.head} on {info.backbone} {info.hookpoint}, epoch {info.best_epoch} of "
        f"{info.epochs_run}, {result.seconds:.1f} s -> {result.folder}"
    )
