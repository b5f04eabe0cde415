"""Coders of other tools: one linear encoder, whatever stands before and behind it, and a linear decoder."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from autointerp.record import Record
from autointerp.transcoder.activation import Encoded, packed, stacked
from autointerp.transcoder.coders.files import Fields
from autointerp.transcoder.coders.selection import Keep, kept
from autointerp.transcoder.sparse import Places, decoded

AT_ONCE = 2**25
"""Numbers of a chunk's activations, which bounds memory."""
EPSILON = 1e-5
"""Is added to a token's standard deviation."""
Normalise = Literal["none", "layer_norm", "constant_norm_rescale"]


class LinearConfig(Record):
    """Says what a coder of another tool does, apart from its weights."""

    format: str
    """The tool that wrote it."""
    kind: Literal["sae", "transcoder"]
    d_in: int
    d_out: int
    widths: tuple[int, ...]
    """Nested prefixes of the dictionary, ascending."""
    keep: Keep
    normalise: Normalise = "none"
    """What is done to a token first: nothing; mean 0 and standard deviation 1 (with n - 1); or length √d_in."""
    denormalise: bool = False
    """Whether what is decoded is brought back to the token's own mean and scale."""
    dtype: str = "float32"
    """The type in which the tool computes latents."""
    scaled_rows: bool = False
    """Whether the tool multiplies the encoder's rows with `magnitude`, and not what they give."""
    fused: bool = False
    """Whether the tool rounds once, after the bias is added; only types of 16 bits can tell."""

    @property
    def n_latents(self) -> int:
        """Returns the number of latents of the whole dictionary."""
        return self.widths[-1]

    @property
    def sparsity(self) -> str:
        """Returns the rule by which latents are kept."""
        return self.keep.rule

    @property
    def k(self) -> int | None:
        """Returns how many latents a token keeps; None where the rule does not say."""
        return self.keep.k


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of a coder; what is None is not there."""

    encoder: Tensor
    """[n_latents, d_in]."""
    bias: Tensor | None = None
    """[n_latents]."""
    decoders: tuple[Tensor, ...]
    """[n_latents, d_out]; with several, the i-th is [widths[i], d_out] and decodes the i-th prefix."""
    decoder_biases: tuple[Tensor, ...] = ()
    """[d_out] each, as many as decoders."""
    shift: Tensor | None = None
    """[d_in]: is taken from the token, once that is normalised."""
    threshold: Tensor | None = None
    """[n_latents] or []."""
    gate_bias: Tensor | None = None
    """[n_latents]: a latent is on only where encoder·x + gate_bias > 0."""
    magnitude: Tensor | None = None
    """[n_latents]: encoder·x is multiplied with it before the bias is added."""
    scale: Tensor | None = None
    """[n_latents]: z is multiplied with it."""
    jump: tuple[float, float] | None = None
    """γ and β: z = relu(z) + β where z > γ."""
    skip: Tensor | None = None
    """[d_out, d_in]: what is decoded gets skip·x on top."""


class LinearCoder(nn.Module):
    """Encodes as the tool that wrote the coder does, in the same type; latents keep the tool's own numbers.

    h = encoder·(normalised(x) - shift); z = (magnitude·h + bias)·scale, of which `keep` keeps some;
    y = z·decoder + bias + skip·x.
    """

    encoder: Tensor
    encoder_bias: Tensor
    threshold: Tensor
    shift: Tensor | None
    gate_bias: Tensor | None
    magnitude: Tensor | None
    scale: Tensor | None
    jump: Tensor | None
    skip: Tensor | None
    out_mean: Tensor

    def __init__(self, config: LinearConfig, weights: Weights) -> None:
        super().__init__()
        self.config = config
        dtype = getattr(torch, config.dtype)
        assert not (config.fused and weights.gate_bias is not None), "a gate is without the bias"
        n = config.n_latents
        zero = torch.zeros(())
        self.register_buffer("encoder", weights.encoder.to(dtype).contiguous())
        self.register_buffer("encoder_bias", (torch.zeros(n) if weights.bias is None else weights.bias).to(dtype))
        self.register_buffer("threshold", (zero if weights.threshold is None else weights.threshold).to(dtype))
        for name in ("shift", "gate_bias", "magnitude", "scale"):
            found = getattr(weights, name)
            self.register_buffer(name, None if found is None else found.to(dtype))
        self.register_buffer("skip", None if weights.skip is None else weights.skip.float())
        self.register_buffer("jump", None if weights.jump is None else torch.tensor(weights.jump))
        zeros = tuple(torch.zeros(config.d_out) for _ in weights.decoders)
        biases = weights.decoder_biases or zeros
        frozen = [
            [nn.Parameter(t.float().contiguous(), requires_grad=False) for t in s] for s in (weights.decoders, biases)
        ]
        self.decoders, self.decoder_biases = map(nn.ParameterList, frozen)
        self.register_buffer("out_mean", torch.zeros(config.d_out), persistent=False)
        self.eval()

    @property
    def n_latents(self) -> int:
        """Returns the number of latents of the whole dictionary."""
        return self.config.n_latents

    @property
    def widths(self) -> tuple[int, ...]:
        """Returns the widths of the nested prefixes, ascending."""
        return self.config.widths

    def encode(self, inputs: Tensor, width: int | None = None) -> Encoded:
        """Encodes each token by itself; latents that the tool gives a value below 0 count as 0.

        Args:
            inputs: [tokens, d_in], raw units; on any device.
            width: one of the config's: latents beyond it are left out.
        """
        size = max(1, AT_ONCE // self.n_latents)
        with torch.inference_mode():
            chunks = inputs.to(self.encoder.device).split(size)
            return stacked([self._encode(chunk, width or self.n_latents) for chunk in chunks])

    def decode(self, encoded: Encoded, width: int | None = None, inputs: Tensor | None = None) -> Tensor:
        """Returns [tokens, d_out], raw units: what the first `width` latents reconstruct; the others are left out.

        Args:
            encoded: latents of each token.
            width: one of the config's; None is the whole dictionary.
            inputs: [tokens, d_in], raw units: needed by a skip connection and by normalisation.
        """
        width = width or self.n_latents
        which = self.widths.index(width) if len(self.decoders) > 1 else 0
        on = (encoded.values > 0) & (encoded.indices < width)
        tokens, column = on.nonzero(as_tuple=True)
        with torch.inference_mode():
            values, latents = encoded.values[tokens, column], encoded.indices[tokens, column]
            made = decoded(values, self.decoders[which], latents, tokens, len(on)) + self.decoder_biases[which]
            if self.skip is not None:
                assert inputs is not None, "a coder with a skip connection decodes with its inputs"
                made = made + functional.linear(inputs.float(), self.skip)
            if self.config.denormalise:
                assert inputs is not None, "a coder that normalises decodes with its inputs"
                made = self._denormalised(made, inputs.float())
            return made

    def reconstruct(self, inputs: Tensor, width: int | None = None) -> Tensor:
        """Encodes and decodes `inputs`, [tokens, d_in] to [tokens, d_out], with the prefix of `width`; raw units."""
        return self.decode(self.encode(inputs, width), width, inputs)

    def _encode(self, inputs: Tensor, width: int) -> Encoded:
        x = self._normalised(inputs.to(self.encoder.dtype))
        x = x if self.shift is None else x - self.shift
        h = functional.linear(x, self.encoder, self.encoder_bias if self.config.fused else None)
        z = self._activations(x, h)
        z, places = kept(self.config.keep, z, self.threshold)
        on = places.below(width)
        if self.gate_bias is not None:
            on = on & ((h + self.gate_bias)[places] > 0)
        places = Places(places.tokens[on], places.latents[on])
        return packed(z[places].float(), places, len(z))

    def _activations(self, x: Tensor, h: Tensor) -> Tensor:
        """Returns [tokens, n_latents], of which some are kept, of normalised tokens and encoder·x."""
        z = h
        if self.magnitude is not None:
            rows = self.config.scaled_rows
            z = functional.linear(x, self.encoder * self.magnitude[:, None]) if rows else h * self.magnitude
        z = z if self.config.fused else z + self.encoder_bias
        z = z if self.scale is None else z * self.scale
        return z if self.jump is None else z.relu() + self.jump[1] * (z > self.jump[0])

    def _normalised(self, x: Tensor) -> Tensor:
        match self.config.normalise:
            case "none":
                return x
            case "layer_norm":
                centred = x - x.mean(dim=-1, keepdim=True)
                return centred / (centred.std(dim=-1, keepdim=True) + EPSILON)
            case "constant_norm_rescale":
                return x * (x.shape[-1] ** 0.5 / x.norm(dim=-1, keepdim=True))

    def _denormalised(self, made: Tensor, x: Tensor) -> Tensor:
        if self.config.normalise == "layer_norm":
            return made * x.std(dim=-1, keepdim=True) + x.mean(dim=-1, keepdim=True)
        return made * x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5


class Foreign(NamedTuple):
    """A coder of another tool, and what its files say of where it belongs."""

    coder: LinearCoder
    model: str
    """The backbone's name here, or `unknown`."""
    reads: str
    """The hookpoint's name here, the tool's own where it has none here, or `unknown`."""
    writes: str
    """The same of the targets; that of the inputs for an sae."""
    note: str | None = None
    """What the files do not say and who uses the coder must know, in a sentence."""


def normalise_of(cfg: Fields) -> Normalise:
    """Reads how inputs are scaled, as ViT-Prisma and SAELens name it; `none` for what was folded into the weights."""
    match cfg.values.get("normalize_activations"):
        case "layer_norm":
            return "layer_norm"
        case "constant_norm_rescale":
            return "constant_norm_rescale"
        case _:
            return "none"
