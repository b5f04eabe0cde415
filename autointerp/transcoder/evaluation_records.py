"""The records of `autointerp train evaluate`."""

from typing import Literal

from autointerp.record import Record
from autointerp.transcoder.attribute_association import Association
from autointerp.transcoder.coder_io import HeldOut
from autointerp.transcoder.evaluation import Effect, Estimate, Nesting
from autointerp.transcoder.settings import EvaluateSettings


class CoderFigures(Record):
    """What a coder is worth."""

    coder: str
    """Folder, as it was named."""
    model: str
    kind: str
    reads: str
    """Hookpoint."""
    writes: str
    """Hookpoint."""
    widths: tuple[int, ...]
    held_out: HeldOut | None
    """On held-out tokens of the store; a control's own from its training, None if it has none."""
    unseen: bool
    """Whether training is known to have left these tokens out."""
    nesting: tuple[Nesting, ...]
    """Of each prefix but the whole dictionary."""
    association: Association | None
    """None without labelled images."""
    effects: tuple[Effect, ...]
    """Of each prefix in the layer's place, and of the layer's mean; empty without a classifier."""


class Asked(Record):
    """The images that the classifier was asked about, and what it said of them as they are."""

    classifier: str
    """Folder."""
    part: Literal["test", "all"]
    n_images: int
    n_groups: int
    n_attribute: int
    auroc: Estimate | None
    """None without images of both labels."""


class Evaluation(Record):
    """All figures."""

    format: Literal["autointerp-evaluation/1"] = "autointerp-evaluation/1"
    created: str
    """ISO 8601, UTC."""
    created_by: str
    """Program and version."""
    store: str
    images: str | None
    settings: EvaluateSettings
    asked: Asked | None
    """None without a classifier."""
    coders: tuple[CoderFigures, ...]
    controls: tuple[CoderFigures, ...]
    """Coders of other backbones, e.g. of one with random weights; each on the images as its own backbone sees them."""
