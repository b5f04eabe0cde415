"""Holds what the commands that train and harvest share, and their settings apart from those of the coder itself."""

from itertools import pairwise
from os import PathLike, fspath
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import (
    AllowInfNan,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from autointerp.options import Option, Settings
from autointerp.settings import Workplace, split_at_commas

USUAL = "dinov2-small"
"""The backbone that is taken where none is named."""
SOURCES = {"timm": "timm_models:timm_backbone", "hf": "huggingface:huggingface_backbone"}
"""Where backbones named `SOURCE:NAME` come from: a module beside the registry, and its function that loads one.

A source of backbones is added here.
"""
BACKBONES = f"{USUAL}, {' or '.join(f'{source}:NAME' for source in SOURCES)}"
"""All names of backbones, in words."""
ENDINGS = (
    "`:random` after it gives it fresh weights, `:stretch` shows it whole pictures where its own preprocessing crops"
)
"""What may stand after a name, in words."""


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
Precision = Literal["auto", "float32", "tf32", "bfloat16"]
"""In which numbers a backbone may be asked to be run."""
UsedPrecision = Literal["float32", "tf32", "bfloat16"]
"""In which numbers it is run."""
BackboneName = str | object
"""The name of a backbone; in Python also a backbone that is loaded."""


class NetworkChoice(Settings):
    """Which coder and backbone made a dump, where pictures are to be encoded again."""

    panel: ClassVar[str] = "The coder"
    changes_answers: ClassVar[bool] = False

    coder: Annotated[str | None, Option(default="what the dump names")] = None
    """The coder that made the dump, for what asks the network again: as for `harvest`."""
    backbone: Annotated[
        BackboneName | None,
        Option(default="what the dump or the coder names", help=f"The model that the coder reads: {BACKBONES}."),
    ] = None
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""
    encode_batch: PositiveInt = 16
    """How many pictures are run through the backbone at once."""


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


class LabelColumns(Settings):
    """Which columns of a table, or of the population itself, say what."""

    label_column: Annotated[str | None, Option(default="label, cls or class")] = None
    """The column of the labels: 0 and 1, or the names of classes."""
    group_column: Annotated[str | None, Option(default="group")] = None
    """The column of the groups: images of one are never held apart."""


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


class TuningSettings(Settings):
    """How the last blocks of a backbone are trained on with a head that was trained before them."""

    panel: ClassVar[str] = "Training"

    unfreeze: NonNegativeInt = 0
    """How many of the backbone's last blocks are trained on with the head; 0 leaves the backbone frozen."""
    tune_epochs: PositiveInt = 20
    """With --unfreeze, how many passes are made at most; --patience ends them earlier."""
    tune_rate: PositiveFloat = 5e-5
    """With --unfreeze, the learning rate of AdamW for blocks and head."""
    tune_batch: PositiveInt = 16
    """With --unfreeze, how many images one step takes."""


class EvaluateSettings(Settings):
    """What is measured of a coder, and on how much."""

    tokens: PositiveInt = 131_072
    """How many held-out tokens are measured, at most about."""
    held_out: float = Field(default=0.05, gt=0, lt=1)
    """The share of the image groups that is measured where a coder does not say what it left out."""
    most_images: PositiveInt = 4096
    """How many images are read and run at most; they are drawn from the list of files if there are more."""
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


class WorkplaceOfNetworks(Workplace):
    """Whose processes run a network over images."""

    cores: Annotated[PositiveInt, Option(metavar="N")] = 1
    """How many cores each actor has for torch, beside a GPU of its own with `--device cuda`."""


class HarvestSettings(Settings):
    """Which images become evidence for a latent."""

    panel: ClassVar[str] = "Evidence"

    n_top: Annotated[PositiveInt, Option("--top")] = 16
    """How many images of highest activation are kept of each latent: stratum `top`."""
    n_bands: Annotated[int, Option("--bands")] = Field(default=4, ge=1, le=9)
    """Into how many bands the other images that fire a latent are cut by activation: strata `q1`, `q2`, …"""
    n_per_band: Annotated[PositiveInt, Option("--per-band")] = 8
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
    """How many images, drawn uniformly, look-alikes and parents are sought among; the dump keeps them all."""
    attribute: str = Field(default="physical error", min_length=1)
    """What the labels are about: a name, or `COLUMN=VALUE`, the images with this value in this column (of classes by
    folder, `label`), all others not."""
    seed: NonNegativeInt = 0
    """The seed of every draw."""
    checkpoint_every: PositiveInt = 512
    """How many images lie between two checkpoints."""

    @property
    def reservoir(self) -> int:
        """Returns the size of a latent's reservoir: a multiple of the bands, so that each holds as many."""
        return self.n_bands * max(self.n_per_band, -(-self.n_reservoir // self.n_bands))


def _renamed(value: object) -> object:
    if isinstance(value, dict) and "shard" in value:
        return {"checkpoint_every" if name == "shard" else name: of for name, of in value.items()}
    return value


StoredHarvest = Annotated[HarvestSettings, BeforeValidator(_renamed)]
"""The settings of a harvest in a file, perhaps an older one, in which `checkpoint_every` was called `shard`."""

Separated = BeforeValidator(split_at_commas)


class CoderForm(Settings):
    """A sparse coder apart from the model's sizes: which prefixes it nests, what it keeps, what its loss is made of."""

    panel: ClassVar[str] = "The coder"

    kind: Literal["transcoder", "sae"] = "transcoder"
    """Whether it predicts what a layer writes from what it reads (`transcoder`), or its own input (`sae`)."""
    widths: Annotated[tuple[PositiveInt, ...], Separated] = Field(default=(128, 512, 2048), min_length=1)
    """The nested prefixes of the dictionary, ascending; a single one is the plain coder."""
    prefix_weights: Annotated[tuple[NonNegativeFloat, ...] | None, Separated, Option(default="all the same")] = None
    """The weights of the prefixes' squared errors, with commas between them."""
    k: PositiveInt = 32
    """How many latents are kept of each token; with `batchtopk`, on the mean over a batch."""
    sparsity: Literal["batchtopk", "topk", "prefix-topk", "band-topk"] = "batchtopk"
    """Which latents are kept: the largest of a batch (`batchtopk`), of a token (`topk`), of each prefix of a token
    (`prefix-topk`), or of each band between two prefixes (`band-topk`)."""
    ks: Annotated[
        tuple[PositiveInt, ...] | None, Separated, Option(default="--k in each prefix, or shared by width among bands")
    ] = None
    """How many latents are kept in each prefix or band."""
    prefix_tokens: Literal["shared", "all"] = "shared"
    """With `prefix-topk`, whether the narrower prefixes learn from half of the tokens together, or each from all."""
    decoder: Literal["shared", "separate"] = "shared"
    """Prefixes of one decoder, or a decoder for each prefix, whose rows are free."""
    decoder_rows: Annotated[
        Literal["unit", "free"] | None, Option(default="free for transcoders, unit for autoencoders")
    ] = None
    """Whether the decoder's rows keep norm 1, so that activations of all latents are of one scale."""
    decoder_start: Literal["fitted", "drawn"] = "fitted"
    """How a transcoder's decoder begins: drawn, or as what a ridge regression of the targets makes of the encoder."""
    encoder_norm: PositiveFloat = 0.6
    """The norm of the encoder's rows when training begins."""
    skip: bool = False
    """Add a linear map from input to output beside the latents."""
    normalise: Annotated[bool, Option(negative="--raw")] = True
    """Whether inputs and targets are brought to one scale, which is fitted first and kept with the weights."""
    aux_weight: NonNegativeFloat = 1.0
    """The weight of the loss that brings dead latents back (Gao et al. 2024, A.2)."""
    dead_after: Annotated[PositiveInt | None, Option(default="a fifth of the tokens of training, at most 1000000")] = (
        None
    )
    """A latent is dead once it was silent for this many tokens."""
    l1_weight: NonNegativeFloat = 0.0
    """The weight of the mean magnitude of the latents, zeros included."""
    jump: NonNegativeFloat = 0.0
    """This number is added to every activation greater than it (the released scripts' JumpReLU)."""

    @field_validator("widths")
    @classmethod
    def _nested(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(a >= b for a, b in pairwise(value)):
            raise PydanticCustomError("widths", "must ascend, such as 128,512,2048")
        return value

    @field_validator("prefix_weights", "ks")
    @classmethod
    def _one_each(cls, value: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        n_widths = len(info.data.get("widths", ()))
        if value is not None and len(value) != n_widths:
            raise PydanticCustomError("each", "must hold {n} numbers, one for each width", {"n": n_widths})
        if value is not None and not sum(value) > 0:
            raise PydanticCustomError("each", "must not all be 0")
        return value

    @field_validator("k")
    @classmethod
    def _within(cls, value: int, info: ValidationInfo) -> int:
        widths = info.data.get("widths")
        if widths and value > widths[-1]:
            raise PydanticCustomError("k", "must be at most the number of latents, {n}", {"n": widths[-1]})
        return value

    @property
    def free_rows(self) -> bool:
        """Returns whether the norms of the decoder's rows are learned."""
        return self.decoder == "separate" or (self.decoder_rows or ("unit" if self.kind == "sae" else "free")) == "free"

    @property
    def n_latents(self) -> int:
        """Returns the number of latents of the whole dictionary."""
        return self.widths[-1]

    @property
    def bands(self) -> tuple[int, ...]:
        """Returns how many latents each prefix adds to the one before; together `n_latents`."""
        return tuple(b - a for a, b in pairwise((0, *self.widths)))

    @property
    def weights(self) -> tuple[float, ...]:
        """Returns the weights of the prefixes' squared errors, as the loss takes them."""
        return self.prefix_weights or (1 / len(self.widths),) * len(self.widths)

    @property
    def kept(self) -> tuple[int, ...]:
        """Returns how many latents each prefix (`prefix-topk`) or band (`band-topk`) keeps: 1 to its width."""
        by_band = self.sparsity == "band-topk"
        sizes = self.bands if by_band else self.widths
        asked = self.ks or tuple(round(self.k * size / self.n_latents) if by_band else self.k for size in sizes)
        return tuple(min(size, max(1, k)) for size, k in zip(sizes, asked, strict=True))


class CoderConfig(CoderForm):
    """A sparse coder of a model whose sizes are known."""

    d_in: PositiveInt
    """Channels that the encoder reads."""
    d_out: PositiveInt
    """Channels that the decoder writes."""

    @field_validator("d_out")
    @classmethod
    def _autoencodes(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("kind") == "sae" and value != info.data.get("d_in"):
            raise PydanticCustomError("d_out", "an sae writes what it reads, so d_out must be d_in")
        return value


BEFORE: dict[str, object] = {
    "prefix_tokens": "all",
    "decoder_rows": "unit",
    "decoder_start": "drawn",
    "encoder_norm": 1.0,
}
"""What coders had before it could be chosen; what is stored without these keys is read so."""
StoredConfig = Annotated[
    CoderConfig, BeforeValidator(lambda value: BEFORE | value if isinstance(value, dict) else value)
]
"""A coder's config in a file, perhaps an older one."""

RELEASED = CoderForm(
    widths=(128, 256, 512, 1024, 2048),
    prefix_weights=(0.1, 0.15, 0.2, 0.25, 0.3),
    k=496,
    sparsity="band-topk",
    ks=(16, 32, 64, 128, 256),
    decoder="separate",
    decoder_rows="free",
    prefix_tokens="all",
    decoder_start="drawn",
    encoder_norm=1.0,
    normalise=False,
    aux_weight=0.0,
    dead_after=50_000,
    l1_weight=0.01,
    jump=1.0,
)
"""The form of the scripts released with Matryoshka Transcoders (arXiv 2511.10094), for comparison; they train with
`TrainSettings(batch=32, rate=1e-4, weight_decay=1e-5, clip=1.0)`."""


USUAL_RATE, USUAL_WIDTH = 1e-3, 2048
"""The learning rate by default, and the number of latents that it is for."""
LONG_SILENT = 1_000_000
"""The most tokens that `dead_after` is by default: those of some 4,000 images, of which a few show even a rare kind."""


class TrainSettings(Settings):
    """How a coder is trained; the same settings, source and machine give the same weights."""

    panel: ClassVar[str] = "Training"

    steps: PositiveInt = 2500
    """How many batches are learned from."""
    batch: PositiveInt = 1024
    """How many tokens one batch has."""
    rate: Annotated[
        PositiveFloat | None, Option(default="0.001 at 2048 latents, by one over the root of their number")
    ] = None
    """The highest learning rate of Adam."""
    warm_up: NonNegativeInt = 50
    """Over how many steps the rate rises to it."""
    decay: float = Field(default=0.3, ge=0, le=1)
    """The share of the steps, at the end, over which the rate falls to nothing."""
    weight_decay: NonNegativeFloat = 0.0
    """The weight decay, decoupled as in AdamW."""
    clip: PositiveFloat = 1.0
    """The largest norm of the gradient over all weights."""
    precision: UsedPrecision = "float32"
    """The numbers in which products are taken, tf32 on CUDA alone; sums, losses and weights stay float32."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""
    seed: NonNegativeInt = 0
    """The seed of the first weights, the order of tokens and the held-out split."""
    held_out: float = Field(default=0.05, ge=0, lt=1)
    """The share of the image groups that training never sees and the figures are of."""
    fit_tokens: PositiveInt = 65_536
    """How many tokens means and scales are fitted on."""
    checkpoint_every: PositiveInt = 500
    """How many steps lie between two states to go on from."""
    report_every: PositiveInt = 50
    """How many steps lie between two reports of progress."""

    def rate_of(self, form: CoderForm) -> float:
        """Returns the highest learning rate; a wider dictionary takes a smaller one (Gao et al. 2024, A.3)."""
        return self.rate or USUAL_RATE * (USUAL_WIDTH / form.n_latents) ** 0.5

    def dead_after(self, form: CoderForm) -> int:
        """Returns for how many tokens a dead latent was silent at least."""
        return form.dead_after or max(1, min(LONG_SILENT, self.steps * self.batch // 5))
