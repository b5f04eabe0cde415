"""A backbone with a trained head on it: the head's hidden units and its log odds become hookpoints."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import ModuleBackbone, state_digest
from autointerp.transcoder.backbones.protocol import Activations, Backbone, Hookpoint, Swap, frame_of, hookpoint_of
from autointerp.transcoder.backbones.registry import backbone_of
from autointerp.transcoder.classifier import (
    BACKBONE_FILE,
    INFO_FILE,
    Classifier,
    ClassifierInfo,
    ClassifierRef,
    load_classifier,
    load_info,
)
from autointerp.transcoder.files import read_tensors
from autointerp.transcoder.settings import USUAL, BackboneName

HIDDEN = "head.0"
"""The paper's h1: the units of an `mlp` head after their ReLU."""
LOGIT = "head"
"""Log odds of a physical error, width 1."""


class HeadedBackbone:
    """A backbone whose hookpoints go on into a classifier.

    Raises:
        SettingsError: the head was trained on another backbone, or on a hookpoint that this one lacks.
    """

    def __init__(self, backbone: Backbone, classifier: Classifier, info: ClassifierInfo) -> None:
        _check_backbone(backbone, info, info.backbone_digest if info.tuned is None else info.tuned.digest)
        self._backbone = backbone
        self._classifier = classifier
        self._reads = info.hookpoint
        hidden = {HIDDEN: Hookpoint("pooled", info.settings.n_hidden)} if classifier.first is not None else {}
        self.hookpoints: Mapping[str, Hookpoint] = {
            **backbone.hookpoints,
            **hidden,
            LOGIT: Hookpoint("pooled", 1),
        }
        hookpoint_of(backbone, self._reads)
        self.name = backbone.name
        self.digest = hashlib.sha256(f"{backbone.digest} {state_digest(classifier)}".encode()).hexdigest()
        self.side = backbone.side
        self.patch_grid = backbone.patch_grid
        self.frame = frame_of(backbone)
        self.tuned = info.tuned is not None

    def prepare(self, image: Image.Image) -> Tensor:
        """Prepares an image as the backbone does."""
        return self._backbone.prepare(image)

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: Mapping[str, Swap] | None = None) -> Activations:
        """Runs a batch, as the protocol says."""
        for name in (*hookpoints, *(swap or {})):
            hookpoint_of(self, name)
        swaps = dict(swap or {})
        of_head = {n: swaps.pop(n) for n in (HIDDEN, LOGIT) if n in swaps}
        below = [n for n in hookpoints if n not in (HIDDEN, LOGIT)]
        if not of_head and len(below) == len(hookpoints):
            return self._backbone.run(batch, below, swaps)
        taken = self._backbone.run(batch, list(dict.fromkeys([*below, self._reads])), swaps)
        read = taken[self._reads]
        with torch.no_grad():
            seen = self._classifier((read.mean(dim=1) if read.ndim == 3 else read).float().cpu())
            logits = seen.logits
            if seen.hidden is not None:
                taken[HIDDEN] = seen.hidden
                if HIDDEN in of_head:
                    taken[HIDDEN] = of_head[HIDDEN](taken)
                    logits = self._classifier.of_hidden(taken[HIDDEN])
            taken[LOGIT] = logits[:, None]
            if LOGIT in of_head:
                taken[LOGIT] = of_head[LOGIT](taken)
        return {name: taken[name] for name in hookpoints}


def _check_backbone(backbone: Backbone, info: ClassifierInfo, digest: str) -> None:
    if backbone.digest != digest:
        raise SettingsError(
            f"the classifier was trained on {info.backbone} {digest[:12]}, not on {backbone.name} "
            f"{backbone.digest[:12]}; load that backbone, or train the classifier anew"
        )


class Network(NamedTuple):
    """A model to read activations from."""

    model: Backbone
    classifier: ClassifierRef | None
    """Whose network it is; None for a plain backbone."""
    tuned: bool = False
    """Whether the backbone is another than that of its name."""


def network_of(backbone: BackboneName | None, classifier: Path | None, *, seed: int, device: str) -> Network:
    """Opens a plain backbone, or the network of a classifier.

    Args:
        backbone: by name, or loaded; None is the classifier's own, or the usual one without a classifier.
        classifier: folder of a classifier.
        seed: of fresh weights, without a classifier.
        device: where it runs.

    Raises:
        SettingsError: the backbone cannot be loaded, the classifier's files are not as they were written, or it was
            trained on another backbone.
    """
    if classifier is None:
        return Network(backbone_of(USUAL if backbone is None else backbone, seed=seed, device=device), None)
    info = load_info(classifier)
    own, typed = (info.backbone, False) if backbone is None else (backbone, True)
    return with_classifier(backbone_of(own, seed=info.settings.seed, device=device, typed=typed), classifier)


def with_classifier(backbone: Backbone, folder: Path) -> Network:
    """Puts a classifier's head on a backbone, whose last blocks get their weights where these were trained on.

    Raises:
        SettingsError: as `network_of`.
    """
    head, info = load_classifier(folder)
    _check_backbone(backbone, info, info.backbone_digest)
    if info.tuned is not None:
        backbone = _tuned(backbone, info, folder / BACKBONE_FILE, info.tuned.digest)
    model = HeadedBackbone(backbone, head, info)
    return Network(model, ClassifierRef(folder=str(folder), digest=model.digest), model.tuned)


def _tuned(backbone: Backbone, info: ClassifierInfo, path: Path, digest: str) -> ModuleBackbone:
    if not isinstance(backbone, ModuleBackbone):
        raise SettingsError(f"{path}: belongs to a ModuleBackbone, and {info.backbone} is none")
    weights = read_tensors(path, beside=INFO_FILE, remedy="copy it again, or train the classifier anew")
    try:
        made = backbone.with_weights(weights)
    except SettingsError as e:
        raise SettingsError(f"{path}: does not fit: {e}") from e
    if made.digest != digest:
        raise SettingsError(
            f"{path}: are not the weights that {INFO_FILE} speaks of; copy both again, or train the classifier anew"
        )
    return made


def check_same(what: str, reads: str, recorded: ClassifierRef | None, given: Network) -> None:
    """Sees that a coder or a store was made with the network that is to be read now.

    One that was made without a classifier may be read with one that left the backbone as it is.

    Args:
        what: names the coder or the store, e.g. `--coder first`.
        reads: a hookpoint of it.
        recorded: what it says of itself.
        given: the network now.

    Raises:
        SettingsError: it was another one.
    """
    now = given.classifier
    if recorded is None and now is not None and (given.tuned or reads in (HIDDEN, LOGIT)):
        raise SettingsError(f"--classifier {now}: {what} was made without a classifier; leave the option out")
    if recorded is not None and now is None:
        raise SettingsError(f"{what}: reads the network of the classifier {recorded}; name it with --classifier")
    if recorded is not None and now is not None and recorded.digest != now.digest:
        raise SettingsError(
            f"--classifier {now}: {what} was made with the classifier {recorded}; give that one, or make it anew"
        )
