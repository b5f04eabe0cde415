"""A head on a frozen backbone that tells images with a physical error from those without."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from autointerp.errors import SettingsError, one_line
from autointerp.reading import read_json
from autointerp.record import Record
from autointerp.transcoder.classification_metrics import Quality
from autointerp.transcoder.files import first_fault
from autointerp.transcoder.settings import ClassifierSettings

FORMAT = "autointerp-classifier/1"
INFO_FILE = "classifier.json"
WEIGHTS_FILE = "classifier.safetensors"

HeadKind = Literal["mlp", "linear"]


class Counted(Record):
    """Says what a part of the population holds."""

    n: int
    n_positive: int
    n_groups: int


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


def save_classifier(folder: Path, classifier: Classifier, info: ClassifierInfo) -> None:
    """Writes classifier.safetensors, then classifier.json.

    Raises:
        SettingsError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(classifier.state_dict(), folder / WEIGHTS_FILE)
        (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as e:
        raise SettingsError(f"{folder}: cannot be written: {e}") from e


def load_classifier(folder: Path) -> tuple[Classifier, ClassifierInfo]:
    """Reads what `save_classifier` wrote.

    Raises:
        SettingsError: a file is missing or is not as this program writes it.
    """
    path = folder / INFO_FILE
    try:
        info = ClassifierInfo.model_validate(read_json(path.read_text("utf-8")))
        classifier = Classifier(info.settings.head, info.width, info.settings.n_hidden)
        path = folder / WEIGHTS_FILE
        classifier.load_state_dict(load_file(path))
    except FileNotFoundError as e:
        raise SettingsError(f"{path}: no such file; give a folder that `autointerp train classifier` wrote") from e
    except ValidationError as e:
        raise SettingsError(f"{path}: {first_fault(e)}") from e
    except (OSError, ValueError, SafetensorError, RuntimeError) as e:
        raise SettingsError(f"{path}: cannot be read as {FORMAT}: {one_line(str(e))[:200]}") from e
    return classifier.eval().requires_grad_(False), info
