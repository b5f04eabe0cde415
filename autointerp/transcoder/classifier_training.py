"""Trains a head on image vectors that a frozen backbone gave."""

from collections.abc import Callable
from math import log
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autointerp.statistics.rates import Bools
from autointerp.transcoder.classifier import Classifier, Seen
from autointerp.transcoder.settings import ClassifierSettings
from autointerp.transcoder.splits import Parts


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
    weight = float((1 - y).sum() / y.sum()) if settings.balance else 1.0
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
            loss = _loss(model(x[rows]), y[rows], weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        with torch.no_grad():
            now = Epoch(epoch, total / len(x), float(_loss(model(x_held), y_held, weight)))
        progress(now)
        if now.validation < best.validation:
            best, kept = now, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if epoch - best.number >= settings.patience:
            break
    model.load_state_dict(kept)
    return best, epoch


def _loss(seen: Seen, truth: Tensor, weight: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(seen.logits, truth, pos_weight=torch.tensor(weight))
