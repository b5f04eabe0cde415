"""Trains the last blocks of a backbone on, together with a head: a network whose layers know the attribute."""

import copy
from collections.abc import Callable, Sequence
from math import log
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.populations.images import PopulationImage
from autointerp.statistics.rates import Bools, Ints
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.classifier import Classifier, Epoch, weight_of, weighted_loss
from autointerp.transcoder.settings import ClassifierSettings, TuningSettings
from autointerp.transcoder.splits import Parts


class Labelled(NamedTuple):
    """Images with their labels, and which of them are learned from."""

    images: Sequence[PopulationImage]
    labels: Bools
    """Shape [n]."""
    parts: Parts


class TunedNetwork(NamedTuple):
    """Holds a backbone and a head that were trained together."""

    backbone: ModuleBackbone
    """Frozen again."""
    weights: dict[str, Tensor]
    """Those of the backbone that could change, by name."""
    classifier: Classifier
    best_epoch: int
    """From 1; 0 where the frozen backbone was the best."""
    epochs_run: int


class _Trainee(NamedTuple):
    backbone: ModuleBackbone
    head: Classifier
    hookpoint: str
    weight: float
    """How many times an image of label 1 counts."""

    def loss(self, pixels: Tensor, truth: Tensor) -> Tensor:
        """Computes the mean loss of prepared images, [n, 3, side, side], with labels, [n]."""
        read = self.backbone.run_to_learn(pixels, self.hookpoint)
        return weighted_loss(self.head(read.float().cpu()), truth, self.weight)

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Returns copies of the weights of backbone and head."""
        own = {name: weight.detach().clone() for name, weight in self.backbone.trainable().items()}
        return own, {name: tensor.clone() for name, tensor in self.head.state_dict().items()}


def tune(
    backbone: Backbone,
    classifier: Classifier,
    hookpoint: str,
    data: Labelled,
    settings: ClassifierSettings,
    tuning: TuningSettings,
    progress: Callable[[Epoch], None],
) -> TunedNetwork:
    """Trains the last blocks of a copy of the backbone and a copy of the head, and keeps the best pass's weights.

    The head was trained on the frozen backbone, so that its first gradients do not spoil the blocks (Kumar et al. 2022,
    arXiv 2202.10054). The network stays in evaluation mode: no dropout, so that the seed alone says what comes out.

    Args:
        backbone: is left as it is.
        classifier: the head, whose log odds speak of the training part's rate.
        hookpoint: what it reads.
        data: labelled images.
        settings: of the head; its weight decay, patience, balance and seed hold here too.
        tuning: `unfreeze` is above 0.
        progress: is told each pass's losses.

    Raises:
        SettingsError: the backbone has not so many blocks, the hookpoint comes before them, or an image has changed.
    """
    truth = torch.from_numpy(data.labels.astype(np.float32))
    weight = weight_of(truth[data.parts.train], settings)
    copied = unfrozen(backbone, hookpoint, tuning)
    trainee = _Trainee(copied, copy.deepcopy(classifier).requires_grad_(True), hookpoint, weight)
    with torch.no_grad():
        trainee.head.last.bias.add_(log(weight))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        best, kept, epochs_run = _descend(trainee, data, truth, settings, tuning, progress)
    trainee.head.load_state_dict(kept[1])
    with torch.no_grad():
        trainee.head.last.bias.sub_(log(weight))
    head = trainee.head.eval().requires_grad_(False)
    return TunedNetwork(copied.with_weights(kept[0]), kept[0], head, best, epochs_run)


def unfrozen(backbone: Backbone, hookpoint: str, tuning: TuningSettings) -> ModuleBackbone:
    """Returns a copy of the backbone whose last blocks can be trained.

    Raises:
        SettingsError: it has not so many blocks, or the hookpoint that the head reads comes before them.
    """
    if not isinstance(backbone, ModuleBackbone):
        raise SettingsError(f"--unfreeze: {backbone.name} is no ModuleBackbone, so that its blocks are not known")
    made = backbone.unfrozen(tuning.unfreeze)
    if not made.run_to_learn(torch.zeros(1, 3, made.side, made.side), hookpoint).requires_grad:
        raise SettingsError(
            f"--unfreeze {tuning.unfreeze}: the head reads {hookpoint}, which comes before these blocks; "
            "unfreeze more of them, or let it read a later --hookpoint"
        )
    return made


def _descend(
    trainee: _Trainee,
    data: Labelled,
    truth: Tensor,
    settings: ClassifierSettings,
    tuning: TuningSettings,
    progress: Callable[[Epoch], None],
) -> tuple[int, tuple[dict[str, Tensor], dict[str, Tensor]], int]:
    """Returns the best pass, the weights after it, and how many passes were made."""
    learned = [*trainee.backbone.trainable().values(), *trainee.head.parameters()]
    optimiser = torch.optim.AdamW(learned, lr=tuning.tune_rate, weight_decay=settings.decay)
    size, parts = tuning.tune_batch, data.parts
    least, best, kept, epoch = _measured(trainee, data, truth, size), 0, trainee.kept(), 0
    for epoch in range(1, tuning.tune_epochs + 1):
        order: Ints = parts.train[torch.randperm(len(parts.train)).numpy()]
        total, at = 0.0, 0
        for batch, pixels in prepared_batches(trainee.backbone, [data.images[i] for i in order.tolist()], size=size):
            loss = trainee.loss(pixels, truth[order[at : at + len(batch)]])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total, at = total + float(loss.detach()) * len(batch), at + len(batch)
        now = Epoch(epoch, total / len(order), _measured(trainee, data, truth, size))
        progress(now)
        if now.validation < least:
            least, best, kept = now.validation, epoch, trainee.kept()
        if epoch - best >= settings.patience:
            break
    return best, kept, epoch


@torch.no_grad()
def _measured(trainee: _Trainee, data: Labelled, truth: Tensor, size: int) -> float:
    """Computes the mean loss of the validation part."""
    rows, total, at = data.parts.validation, 0.0, 0
    for batch, pixels in prepared_batches(trainee.backbone, [data.images[i] for i in rows.tolist()], size=size):
        total += float(trainee.loss(pixels, truth[rows[at : at + len(batch)]])) * len(batch)
        at += len(batch)
    return total / len(rows)
