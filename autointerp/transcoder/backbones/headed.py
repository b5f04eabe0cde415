"""A backbone with a trained head on it: the head's hidden units and its log odds become hookpoints."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import state_digest
from autointerp.transcoder.backbones.protocol import Activations, Backbone, Hookpoint, Swap, hookpoint_of
from autointerp.transcoder.classifier import Classifier, ClassifierInfo

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
        if backbone.digest != info.backbone_digest:
            raise SettingsError(
                f"the classifier was trained on {info.backbone} {info.backbone_digest[:12]}, "
                f"not on {backbone.name} {backbone.digest[:12]}; load that backbone, or train the classifier anew"
            )
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
