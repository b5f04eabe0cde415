"""The record of a pack, `autointerp-pack/1`: failure modes, their features, and what they do on sound images."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt

from autointerp.record import Record, Several
from autointerp.statistics.clusters import Share

PACK_FORMAT = "autointerp-pack/1"
MOST_FEATURES, MOST_CONTROLS, MOST_MODES = 4096, 4096, 512
"""A pack names no more, so that one that somebody sends cannot ask for any amount of memory."""


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("is no SHA-256, 64 hex digits")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", text):
        raise ValueError("is no plain name: small letters, digits and hyphens, at most 64")
    return text


Digest = Annotated[str, AfterValidator(_digest)]
PlainName = Annotated[str, AfterValidator(_name)]
MOST_TEXT = 2000
"""Characters of a text."""
Text = Annotated[str, Field(max_length=MOST_TEXT)]
Part = Annotated[float, Field(ge=0, le=1)]
"""A share, or a bound of one."""
Level = Annotated[float, Field(gt=1e-12, lt=1e12)]
"""An activation by which others are divided, so that what comes out fits into 32 bits."""


class Figures(Record):
    """Is the base of records of figures, none of which is infinite or no number."""

    model_config = ConfigDict(allow_inf_nan=False)


class Rate(Figures):
    """A share of images with its 95 % interval over clusters."""

    value: Part
    low: Part
    high: Part
    hits: NonNegativeInt
    n: NonNegativeInt
    n_clusters: NonNegativeInt
    """Prompts and groups of near-duplicates, which the interval takes for independent."""
    n_effective: Annotated[FiniteFloat, Field(gt=0)]
    """As many independent images say as much."""

    @classmethod
    def of(cls, share: Share) -> "Rate":
        """Makes the record of a share."""
        return cls(
            value=share.value,
            low=share.low,
            high=share.high,
            hits=share.hits,
            n=share.n,
            n_clusters=share.n_clusters,
            n_effective=share.n_effective,
        )

    @property
    def share(self) -> Share:
        """The share that the record is of."""
        return Share(self.value, self.low, self.high, self.hits, self.n, self.n_clusters, self.n_effective)


class Estimated(Figures):
    """A figure with its 95 % interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class PackFeature(Figures):
    """Is a feature that goes with the attribute, and what is known of it."""

    feature: NonNegativeInt
    """Latent of the coder."""
    threshold: Level
    """The feature fires on an image where its maximum over the image is greater than this; raw units."""
    typical: Level
    """Median activation on the images with the attribute that fire it; severity is in units of this."""
    explanation: Text
    category: Text
    detection: Estimated
    """The explanation's detection score."""
    controls: dict[str, FiniteFloat]
    """What other explanations scored on the same images; each is below `detection.low`."""
    with_attribute: Rate
    """Share of the held-out images with the attribute that fire it."""
    without_attribute: Rate
    """The same of held-out images without it."""
    lift: Estimated
    """How many times as often as all held-out images those that fire it have the attribute."""
    q: FiniteFloat
    """The smallest false discovery rate at which it is associated with the attribute on held-out images."""


class PackControl(Figures):
    """A negative control: a feature that has nothing to do with the attribute but fires about as often."""

    feature: NonNegativeInt
    threshold: Level
    value: Part
    """Share of the held-out images that fire it."""


class Mode(Figures):
    """Failure features of one meaning."""

    id: PlainName
    name: Text
    """The explanation of the feature that is most often on."""
    category: Text
    features: Annotated[Several[NonNegativeInt], Field(min_length=1)]
    """Latents; the mode is on where any of them is at its own threshold times `level`."""
    others: Several[NonNegativeInt] = ()
    """Features of the same meaning that would add more false alarms than finds."""
    level: Annotated[FiniteFloat, Field(ge=1)] = 1.0
    with_attribute: Rate
    without_attribute: Rate
    """Shares of the held-out images with and without the attribute on which it is on."""


class Overall(Figures):
    """What holds of all modes, or of those of a category, together."""

    with_attribute: Rate
    without_attribute: Rate
    """Shares of the held-out images with and without the attribute on which at least one mode is on."""


class BackboneRef(Figures):
    """The network that is run; its weights are no part of the pack."""

    name: Text
    digest: Digest
    """Of all that activations depend on but the image."""
    classifier: bool
    """Whether the pack holds a classifier, whose network it is."""


class CoderFile(Figures):
    """The coder in the pack."""

    kind: Literal["own", "linear", "raw"]
    """A coder of this program, one of another tool as a linear one, or the network's own units."""
    digest: Digest
    reads: Text
    """Hookpoint."""
    n_latents: PositiveInt
    source: Text
    """The tool or format that it was read from, and its name there."""


class FileRef(Figures):
    """A file of the pack."""

    sha256: Digest
    size: NonNegativeInt
    """Bytes."""


class HeldOut(Figures):
    """The labelled images on which features were chosen and measured."""

    source: Literal["pool", "images"]
    """The pool of the run's dump, or images that were given."""
    attribute: Text
    n_choosing: NonNegativeInt
    """Images on which thresholds were chosen."""
    n_measuring: NonNegativeInt
    """Images on which the figures of the pack were measured; no prompt or near-duplicate is on both sides."""
    broken: NonNegativeInt = 0


class PackSettings(Figures):
    """What decided which features are in the pack."""

    level: FiniteFloat
    same_meaning: FiniteFloat
    embedder: Text
    seed: NonNegativeInt
    active_above: FiniteFloat
    """The dump's threshold."""
    precision: Literal["float32", "tf32", "bfloat16"]


class Sifted(Figures):
    """How many features were left after each condition."""

    explained: NonNegativeInt
    detected: NonNegativeInt
    """Of these, with a detection score whose interval is above its controls."""
    tested: NonNegativeInt
    """Of these, with more carriers of the attribute among their images in the choosing half."""
    associated: NonNegativeInt
    """Of these, associated with the attribute in the other half."""


class Origin(Figures):
    """Where the pack comes from."""

    run: Text
    dump: Text
    dump_digest: Text
    explainer: Text
    judge: Text
    model: Text
    hookpoint: Text


class Pack(Figures):
    """Is what pack.json holds."""

    format: Literal["autointerp-pack/1"] = PACK_FORMAT
    name: Text
    created: Text
    created_by: Text
    origin: Origin
    backbone: BackboneRef
    coder: CoderFile
    held_out: HeldOut
    settings: PackSettings
    sifted: Sifted
    modes: Annotated[Several[Mode], Field(min_length=1, max_length=MOST_MODES)]
    features: Annotated[Several[PackFeature], Field(min_length=1, max_length=MOST_FEATURES)]
    controls: Annotated[Several[PackControl], Field(max_length=MOST_CONTROLS)]
    overall: Overall
    categories: dict[Text, Overall]
    notes: Several[Text] = ()
    files: dict[Text, FileRef]
    """Every other file of the pack."""

    @property
    def columns(self) -> tuple[int, ...]:
        """Latents of features and then of controls: the columns of what is kept of an image."""
        return (*(f.feature for f in self.features), *(c.feature for c in self.controls))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Of each column, above which it is on."""
        return (*(f.threshold for f in self.features), *(c.threshold for c in self.controls))
