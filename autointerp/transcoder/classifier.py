"""A head on a frozen backbone that tells images with a physical error from those without."""

from collections.abc import Callable, Mapping
from math import log
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from autointerp.errors import SettingsError, one_line
from autointerp.record import Record
from autointerp.statistics.rates import Bools
from autointerp.transcoder.classification_metrics import Quality
from autointerp.transcoder.files import is_none, read_record, read_tensors, written
from autointerp.transcoder.settings import ClassifierSettings, TuningSettings
from autointerp.transcoder.splits import Parts

FORMAT = "autointerp-classifier/1"
INFO_FILE = "classifier.json"
WEIGHTS_FILE = "classifier.safetensors"
BACKBONE_FILE = "backbone.safetensors"
"""Beside a head whose backbone was trained on: the weights of the backbone that changed."""

HeadKind = Literal["mlp", "linear"]


class Counted(Record):
    """Says what a part of the population holds."""

    n: int
    n_positive: int
    n_groups: int


class Tuned(Record):
    """Says how the last blocks of the backbone were trained on, together with the head."""

    settings: TuningSettings
    digest: str
    """As `Backbone.digest`, of the backbone with the weights of backbone.safetensors."""
    best_epoch: NonNegativeInt
    """From 1; 0 where no pass had a smaller validation loss than the head on the frozen backbone."""
    epochs_run: int
    frozen_quality: Quality
    """Of the head on the frozen backbone, on the held-out part: what there was to beat."""


class ClassifierRef(Record):
    """Names the network of a classifier that activations were read from: the backbone with the head."""

    folder: str
    """Of the classifier, as it was given."""
    digest: str
    """SHA-256, hex, over all weights of backbone and head."""

    def __str__(self) -> str:
        """Writes the folder and the first digits of the digest."""
        return f"{self.folder} ({self.digest[:12]})"


def same_network(one: ClassifierRef | None, other: ClassifierRef | None) -> bool:
    """Says whether two are of one network, wherever its folder lies; None is a backbone by itself."""
    return (one and one.digest) == (other and other.digest)


class ClassifierInfo(Record):
    """Is the content of classifier.json."""

    format: Literal["autointerp-classifier/1"] = FORMAT
    created: str
    """ISO 8601, UTC."""
    created_by: str
    """Program and version."""
    images: str
    """The folder that was learned from."""
    backbone: str
    backbone_digest: str
    """As `Backbone.digest`."""
    settings: ClassifierSettings
    hookpoint: str
    """What the head reads."""
    width: PositiveInt
    """Of the vector that the head reads."""
    train: Counted
    validation: Counted
    n_unlabelled: int
    """Images without a label, which took no part."""
    n_broken: int
    """Files that could not be read."""
    best_epoch: int
    """From 1."""
    epochs_run: int
    validation_quality: Quality
    """Of the part that chose the epoch: too good by that choice."""
    test_quality: Quality
    """Of the held-out part."""
    constant_quality: Quality
    """On the held-out part, of always saying the training part's rate: what there is to beat."""
    tuned: Tuned | None = Field(default=None, exclude_if=is_none)
    """None where the backbone is frozen."""


class Seen(NamedTuple):
    """What a head makes of image vectors."""

    hidden: Tensor | None
    """Hookpoint `head.0`: the units of the `mlp` after their ReLU, [n, n_hidden]."""
    logits: Tensor
    """Hookpoint `head`: log odds of a physical error, [n]."""


class Classifier(nn.Module):
    """A head: vectors are standardised by the training part's mean and spread, then go through one or two layers."""

    def __init__(self, head: HeadKind, width: int, n_hidden: int) -> None:
        """Makes a head with torch's default initial weights, drawn from its global generator."""
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.first = nn.Linear(width, n_hidden) if head == "mlp" else None
        self.last = nn.Linear(n_hidden if head == "mlp" else width, 1)

    def fit_scale(self, vectors: Tensor) -> None:
        """Takes mean and spread of [n, width]; a constant coordinate keeps its scale."""
        spread = vectors.std(dim=0, correction=0)
        self.mean.copy_(vectors.mean(dim=0))
        self.scale.copy_(torch.where(spread > 1e-6 * spread.max(), spread, torch.ones_like(spread)))

    def forward(self, vectors: Tensor) -> Seen:
        """Maps [n, width] to hidden units and log odds."""
        x = (vectors - self.mean) / self.scale
        if self.first is None:
            return Seen(None, self.last(x).squeeze(-1))
        hidden = self.first(x).relu()
        return Seen(hidden, self.last(hidden).squeeze(-1))

    def of_hidden(self, hidden: Tensor) -> Tensor:
        """Returns log odds, [n], from the units of an `mlp`, [n, n_hidden]: e.g. reconstructed ones."""
        assert self.first is not None
        return self.last(hidden).squeeze(-1)


def save_classifier(
    folder: Path, classifier: Classifier, info: ClassifierInfo, tuned: Mapping[str, Tensor] | None = None
) -> None:
    """Writes classifier.safetensors, backbone.safetensors where the backbone was trained on, then classifier.json.

    Args:
        folder: is made.
        classifier: the head.
        info: what is said of it.
        tuned: the weights of the backbone that changed, by name.

    Raises:
        SettingsError: the folder cannot be written.
    """
    if tuned:
        with written(folder / BACKBONE_FILE) as path:
            save_file({name: weight.detach().cpu().contiguous() for name, weight in tuned.items()}, path)
    with written(folder / WEIGHTS_FILE) as path:
        save_file(classifier.state_dict(), path)
    with written(folder / INFO_FILE) as path:
        path.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


REMEDY = "give a folder that `autointerp train classifier` wrote"


def load_info(folder: Path) -> ClassifierInfo:
    """Reads classifier.json.

    Raises:
        SettingsError: it is missing or is not as this program writes it.
    """
    return read_record(folder / INFO_FILE, ClassifierInfo, missing=f"{folder / INFO_FILE}: no such file; {REMEDY}")


def load_classifier(folder: Path) -> tuple[Classifier, ClassifierInfo]:
    """Reads what `save_classifier` wrote.

    Raises:
        SettingsError: a file is missing or is not as this program writes it.
    """
    path, info = folder / WEIGHTS_FILE, load_info(folder)
    classifier = Classifier(info.settings.head, info.width, info.settings.n_hidden)
    tensors = read_tensors(path, beside=INFO_FILE, remedy=REMEDY)
    try:
        classifier.load_state_dict(tensors)
    except RuntimeError as e:
        raise SettingsError(f"{path}: cannot be read as {FORMAT}: {one_line(str(e))[:200]}") from e
    return classifier.eval().requires_grad_(False), info


class Epoch(NamedTuple):
    """Losses after one pass: binary cross-entropy in nats, weighted as in training."""

    number: int
    """From 1."""
    train: float
    validation: float


class Trained(NamedTuple):
    """Holds a head and how it came about."""

    classifier: Classifier
    best: Epoch
    """Whose weights it has."""
    epochs_run: int


def train_head(
    vectors: Tensor,
    labels: Bools,
    parts: Parts,
    settings: ClassifierSettings,
    progress: Callable[[Epoch], None],
) -> Trained:
    """Trains a head, and keeps that of the epoch with the smallest validation loss.

    With `balance` the loss of label 1 is weighted by w = n₀/n₁ of the training part, which adds log w to the log odds
    that minimise it; afterwards log w is taken from the last bias, so that the probabilities speak of the training
    part's rate again (Elkan 2001, theorem 2).

    Args:
        vectors: of all labelled images, [n, width].
        labels: shape [n].
        parts: positions; both labels occur in each.
        settings: of the head and its training.
        progress: is told each epoch's losses.
    """
    truth = torch.from_numpy(labels.astype(np.float32))
    x, y = vectors[parts.train], truth[parts.train]
    weight = weight_of(y, settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Classifier(settings.head, vectors.shape[1], settings.n_hidden)
        model.fit_scale(x)
        best, run = _descend(
            model, x, y, vectors[parts.validation], truth[parts.validation], weight, settings, progress
        )
    with torch.no_grad():
        model.last.bias.sub_(log(weight))
    return Trained(model.eval().requires_grad_(False), best, run)


def weight_of(truth: Tensor, settings: ClassifierSettings) -> float:
    """Computes how many times an image of label 1 counts, from the labels of the training part."""
    return float((1 - truth).sum() / truth.sum()) if settings.balance else 1.0


def _descend(
    model: Classifier,
    x: Tensor,
    y: Tensor,
    x_held: Tensor,
    y_held: Tensor,
    weight: float,
    settings: ClassifierSettings,
    progress: Callable[[Epoch], None],
) -> tuple[Epoch, int]:
    """Leaves the best epoch's weights in the model; returns that epoch, and how many were run."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.decay)
    best, kept, epoch = Epoch(0, float("inf"), float("inf")), model.state_dict(), 0
    for epoch in range(1, settings.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(x)).split(settings.batch):
            loss = weighted_loss(model(x[rows]), y[rows], weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        with torch.no_grad():
            now = Epoch(epoch, total / len(x), float(weighted_loss(model(x_held), y_held, weight)))
        progress(now)
        if now.validation < best.validation:
            best, kept = now, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if epoch - best.number >= settings.patience:
            break
    model.load_state_dict(kept)
    return best, epoch


def weighted_loss(seen: Seen, truth: Tensor, weight: float) -> Tensor:
    """Computes the binary cross-entropy, nats, of labels [n]; those of label 1 count `weight` times."""
    return functional.binary_cross_entropy_with_logits(seen.logits, truth, pos_weight=torch.tensor(weight))
