"""What a sparse coder is and how it is trained: every default in one place, with its bounds and one sentence."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import (
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
from autointerp.settings import split_at_commas

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
    decoder: Literal["shared", "separate"] = "shared"
    """Prefixes of one decoder with rows of unit norm, or a decoder for each prefix with free rows."""
    skip: bool = False
    """Add a linear map from input to output beside the latents."""
    normalise: Annotated[bool, Option(negative="--raw")] = True
    """Whether inputs and targets are brought to one scale, which is fitted first and kept with the weights."""
    aux_weight: NonNegativeFloat = 1 / 32
    """The weight of the loss that brings dead latents back (Gao et al. 2024, A.2)."""
    dead_after: PositiveInt = 50_000
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


RELEASED = CoderForm(
    widths=(128, 256, 512, 1024, 2048),
    prefix_weights=(0.1, 0.15, 0.2, 0.25, 0.3),
    k=496,
    sparsity="band-topk",
    ks=(16, 32, 64, 128, 256),
    decoder="separate",
    normalise=False,
    aux_weight=0.0,
    l1_weight=0.01,
    jump=1.0,
)
"""The form of the scripts released with Matryoshka Transcoders (arXiv 2511.10094), for comparison; they train with
`TrainSettings(batch=32, rate=1e-4, weight_decay=1e-5, clip=1.0)`."""


class TrainSettings(Settings):
    """How a coder is trained; the same settings, source and machine give the same weights."""

    panel: ClassVar[str] = "Training"

    steps: PositiveInt = 2500
    """How many batches are learned from."""
    batch: PositiveInt = 1024
    """How many tokens one batch has."""
    rate: PositiveFloat = 1e-3
    """The highest learning rate of Adam."""
    warm_up: NonNegativeInt = 50
    """Over how many steps the rate rises to it."""
    decay: float = Field(default=0.3, ge=0, le=1)
    """The share of the steps, at the end, over which the rate falls to nothing."""
    weight_decay: NonNegativeFloat = 0.0
    """The weight decay, decoupled as in AdamW."""
    clip: PositiveFloat = 1.0
    """The largest norm of the gradient over all weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The type in which products are taken; sums, losses and weights stay float32."""
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
