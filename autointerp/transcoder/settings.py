"""Holds what the commands that train and harvest share, and their settings apart from those of the coder itself."""

from os import PathLike, fspath
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import AllowInfNan, BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from autointerp.options import Option, Settings

USUAL = "dinov2-small"
"""The backbone that is taken where none is named."""


def one_or_several(value: object) -> object:
    """Returns one text or path as a tuple, and several as the tuple of their texts."""
    several = [value] if isinstance(value, str | PathLike) else value
    if not isinstance(several, list | tuple):
        return value
    return tuple(fspath(one) if isinstance(one, PathLike) else one for one in several)


def text_or(word: str) -> BeforeValidator:
    """Reads a word as None, and any other text as itself."""
    return BeforeValidator(lambda value: None if value == word else value)


def number_or(word: str) -> BeforeValidator:
    """Reads a word as None, and any other text as a number."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return None if value == word else float(value)
        except ValueError:
            raise ValueError(f"give a number, or `{word}`") from None

    return BeforeValidator(read)


Several = Annotated[tuple[str, ...], BeforeValidator(one_or_several)]
"""Names or folders: one, or several."""
BackboneName = str | object
"""The name of a backbone; in Python also a backbone that is loaded."""


class StoreSettings(Settings):
    """What of each image goes into a store."""

    reads: str = Field(default="blocks.8.mlp.in", min_length=1)
    """The hookpoint of the inputs: what a transcoder's layer reads, or an autoencoder's own."""
    writes: Annotated[str | None, text_or("none")] = Field(default="blocks.8.mlp.out", min_length=1)
    """The hookpoint of the targets, which the layer writes; `none` takes inputs alone, enough for autoencoders."""
    tokens_per_image: Annotated[PositiveInt | None, Option(default="all")] = None
    """How many patches are drawn of each image."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """The type of the stored numbers."""
    seed: NonNegativeInt = 0
    """The seed of the draw of patches, and of the weights of a `:random` backbone."""
    batch: PositiveInt = 16
    """How many images are run at once."""


class ClassifierSettings(Settings):
    """How a head is trained."""

    panel: ClassVar[str] = "Training"

    head: Literal["mlp", "linear"] = "mlp"
    """Whether the head has one hidden layer as in the paper (`mlp`), or none (`linear`), which gives a map."""
    hookpoint: Annotated[str | None, Option(default="pooled; for linear, the last block's patches")] = None
    """What the head reads, of patches the mean."""
    n_hidden: Annotated[PositiveInt, Option("--hidden")] = 256
    """How many hidden units the `mlp` has."""
    epochs: PositiveInt = 500
    """How many passes over the training part are made at most."""
    patience: PositiveInt = 20
    """After how many passes without a smaller validation loss training stops; the best pass's weights are kept."""
    batch: PositiveInt = 64
    """How many images one step takes."""
    rate: PositiveFloat = 1e-3
    """The learning rate of AdamW."""
    decay: NonNegativeFloat = 0.01
    """The weight decay of AdamW."""
    balance: Annotated[bool, Option(negative="--no-balance")] = True
    """Whether the labels are weighted so that both count the same; the log odds are then shifted back."""
    validation_share: float = Field(default=0.15, gt=0, lt=0.5)
    """The share of the labelled images that training stops by."""
    test_share: float = Field(default=0.15, gt=0, lt=0.5)
    """The share of the labelled images that are only measured."""
    seed: NonNegativeInt = 0
    """The seed of the split, the first weights and the order of images."""


class EvaluateSettings(Settings):
    """What is measured of a coder, and on how much."""

    tokens: PositiveInt = 131_072
    """How many held-out tokens are measured, at most about."""
    held_out: float = Field(default=0.05, gt=0, lt=1)
    """The share of the image groups that is measured where a coder does not say what it left out."""
    most_images: PositiveInt = 4096
    """How many images are run at most; they are drawn if there are more."""
    part: Literal["test", "all"] = "test"
    """Which images the classifier is asked about: those that it did not learn from (`test`), or all."""
    density: PositiveFloat = Field(default=0.02, lt=1)
    """Half of the latents fire on this share of the images or more: firing begins where that is so."""
    level: PositiveFloat = Field(default=0.05, lt=1)
    """The false discovery rate of the latents that go with the attribute."""
    batch: PositiveInt = 16
    """How many images are run at once."""
    seed: NonNegativeInt = 0
    """The seed of draws, and of the weights of a `:random` backbone, as when its activations were stored."""


class HarvestSettings(Settings):
    """Which images become evidence for a latent."""

    panel: ClassVar[str] = "Evidence"

    n_top: Annotated[PositiveInt, Option("--top")] = 24
    """How many images of highest activation are kept of each latent: stratum `top`."""
    n_bands: Annotated[int, Option("--bands")] = Field(default=4, ge=1, le=9)
    """Into how many bands the other images that fire a latent are cut by activation: strata `q1`, `q2`, …"""
    n_per_band: Annotated[PositiveInt, Option("--per-band")] = 5
    """How many images are drawn in each band."""
    n_silent: Annotated[NonNegativeInt, Option("--silent")] = 60
    """How many images are drawn for all latents at once; a latent keeps those on which it is silent."""
    n_guided: Annotated[NonNegativeInt, Option("--guided")] = 40
    """How many silent look-alikes are drawn of each latent, on the mean."""
    active_above: Annotated[
        Annotated[float, Ge(0), AllowInfNan(False)] | None,
        number_or("auto"),
        Option(default="auto", metavar="auto|NUMBER"),
    ] = None
    """The activation above which a latent fires on an image; `auto` finds it by --density."""
    density: float = Field(default=0.02, gt=0, lt=1)
    """Half of the latents fire on this share of the images or more, where --active-above is found."""
    n_reservoir: Annotated[PositiveInt, Option("--reservoir")] = 64
    """From how many images below the top the bands are cut, at least; it is raised to a multiple of the bands."""
    n_pool: Annotated[PositiveInt, Option("--pool")] = 2048
    """Among how many images look-alikes and parents are sought."""
    attribute: str = Field(default="physical error", min_length=1)
    """The name of what the labels are about."""
    seed: NonNegativeInt = 0
    """The seed of every draw."""
    shard: PositiveInt = 512
    """How many images lie between two checkpoints."""

    @property
    def reservoir(self) -> int:
        """Returns the size of a latent's reservoir: a multiple of the bands, so that each holds as many."""
        return self.n_bands * max(self.n_per_band, -(-self.n_reservoir // self.n_bands))
