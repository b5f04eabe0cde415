"""Sparse coders: transcoders and autoencoders whose dictionaries nest; and a model's own units in the same form."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from autointerp.transcoder.activation import (
    Encoded,
    above,
    largest_of_bands,
    largest_of_batch,
    largest_of_token,
    packed,
    stacked,
)
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.sparse import Places, decoded, gathered, running

SHARED = 2
"""Narrower prefixes that share tokens learn from every `SHARED`·n-th token, n prefixes from half of them together."""
CHUNK = 4096
"""Tokens encoded at a time, which bounds memory at `CHUNK`·n_latents numbers."""


class ForwardOutput(NamedTuple):
    """What a coder made of a batch; inputs and targets in normalised units."""

    made: tuple[Tensor, ...]
    """[tokens, d_out] for each width: what that prefix reconstructs, of the tokens that it learns from."""
    target: Tensor
    """[tokens, d_out]."""
    values: Tensor
    """[n_entries]: activations of the latents that the whole dictionary keeps; the rest are 0."""
    places: Places
    """Where these are."""
    revived: Tensor | None
    """[tokens, d_out]: what dead latents make of the rest that the whole dictionary leaves; None without any."""
    learned: tuple[slice, ...] = ()
    """The tokens that each prefix learns from; empty where all do from all."""

    @property
    def targets(self) -> tuple[Tensor, ...]:
        """Returns the target of each prefix, of the tokens that it learns from."""
        return tuple(self.target[part] for part in self.learned) or (self.target,) * len(self.made)


class SparseCoder(nn.Module):
    """Encodes an activation vector in a few latents, and decodes any nested prefix of them.

    z = relu(encoder·(x - in_mean)/in_scale + encoder_bias), of which few are kept;
    y = (z·decoder + decoder_bias)·out_scale + out_mean. Weights are zero until `start` or a stored state fills them.
    """

    threshold: Tensor
    """[], running mean of the least activation that a batch kept: what `batchtopk` keeps outside training, so that a
    token's latents do not depend on its batch."""
    n_thresholds: Tensor
    """[], int64, batches behind it."""
    band_of: Tensor
    """[n_latents], int64: number of the smallest prefix that holds each latent."""
    in_mean: Tensor
    """[d_in]."""
    in_scale: Tensor
    """[], root mean square of a channel around its mean."""
    out_mean: Tensor
    """[d_out]."""
    out_scale: Tensor
    """[]."""

    def __init__(self, config: CoderConfig) -> None:
        super().__init__()
        self.config = config
        separate = config.decoder == "separate"
        self.encoder = nn.Parameter(torch.zeros(config.n_latents, config.d_in))
        self.encoder_bias = nn.Parameter(torch.zeros(config.n_latents))
        rows = config.widths if separate else (config.n_latents,)
        self.decoders = nn.ParameterList(torch.zeros(n, config.d_out) for n in rows)
        self.decoder_biases = nn.ParameterList(torch.zeros(config.d_out) for _ in rows)
        self.skip = nn.Parameter(torch.zeros(config.d_out, config.d_in)) if config.skip else None
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_thresholds", torch.zeros((), dtype=torch.int64))
        bands = torch.arange(len(config.bands)).repeat_interleave(torch.tensor(config.bands))
        self.register_buffer("band_of", bands, persistent=False)
        for side, size in (("in", config.d_in), ("out", config.d_out)):
            self.register_buffer(f"{side}_mean", torch.zeros(size))
            self.register_buffer(f"{side}_scale", torch.ones(()))

    @property
    def n_latents(self) -> int:
        """Returns the number of latents of the whole dictionary."""
        return self.config.n_latents

    @property
    def widths(self) -> tuple[int, ...]:
        """Returns the widths of the nested prefixes, ascending."""
        return self.config.widths

    @torch.no_grad()
    def start(self, seed: int) -> None:
        """Draws first weights: unit decoder rows; an sae's encoder is their transpose, a transcoder's rows are its own.

        A transcoder reads and writes different spaces, so that a transpose would mean nothing there: see `start_from`.
        The encoder's rows are brought to the norm that the config says.
        """
        generator = torch.Generator().manual_seed(seed)

        def rows(n: int, size: int) -> Tensor:
            return functional.normalize(torch.randn(n, size, generator=generator), dim=1)

        for decoder in self.decoders:
            decoder.copy_(rows(*decoder.shape))
        full = self.decoders[-1]
        self.encoder.copy_(full if self.config.kind == "sae" else rows(*self.encoder.shape))
        self.encoder.mul_(self.config.encoder_norm)

    @torch.no_grad()
    def start_from(self, linear: Tensor) -> None:
        """Begins with decoder rows that are what a linear map makes of the encoder's directions.

        Args:
            linear: [d_in, d_out], from inputs to targets, normalised units; a row that it maps to nothing stays.
        """
        mapped = functional.normalize(self.encoder, dim=1) @ linear
        for decoder in self.decoders:
            decoder.copy_(torch.where(mapped.any(dim=1, keepdim=True), mapped, self.decoders[-1])[: len(decoder)])
        self.unit_rows()

    def encode(self, inputs: Tensor, width: int | None = None) -> Encoded:
        """Encodes each token, as the prefix of `width` keeps its latents; by default as the whole dictionary does.

        A token's latents do not depend on the other tokens: `batchtopk` keeps what is above its threshold.

        Args:
            inputs: [tokens, d_in], raw units; on any device.
            width: One of the config's.
        """
        width = width or self.n_latents
        with torch.inference_mode():
            return stacked([self._encode(chunk, width) for chunk in inputs.to(self.encoder.device).split(CHUNK)])

    def decode(self, encoded: Encoded, width: int | None = None, inputs: Tensor | None = None) -> Tensor:
        """Returns [tokens, d_out], raw units: what the first `width` latents reconstruct; the others are left out.

        Args:
            encoded: Latents of each token.
            width: One of the config's; None is the whole dictionary.
            inputs: [tokens, d_in], raw units: needed where the coder has a skip connection.
        """
        width = width or self.n_latents
        on = (encoded.values > 0) & (encoded.indices < width)
        tokens, column = on.nonzero(as_tuple=True)
        with torch.inference_mode():
            decoder, bias = self._decoder(width)
            latents = encoded.indices[tokens, column]
            made = decoded(encoded.values[tokens, column], decoder, latents, tokens, len(on)) + bias
            if self.skip is not None:
                assert inputs is not None, "a coder with a skip connection decodes with its inputs"
                made = made + functional.linear(self._normalised(inputs), self.skip)
            return made * self.out_scale + self.out_mean

    def reconstruct(self, inputs: Tensor, width: int | None = None) -> Tensor:
        """Encodes and decodes `inputs`, [tokens, d_in] to [tokens, d_out], with the prefix of `width`; raw units."""
        return self.decode(self.encode(inputs, width), width, inputs)

    def forward(self, inputs: Tensor, targets: Tensor, dead: Tensor | None = None) -> ForwardOutput:
        """Runs a batch through every prefix; in training mode `batchtopk` keeps the batch's largest.

        Args:
            inputs: [tokens, d_in], raw units.
            targets: [tokens, d_out], raw units.
            dead: [n_dead], int64: latents that shall learn from what the others leave over; None for none.
        """
        x, target = self._normalised(inputs), (targets.float() - self.out_mean) / self.out_scale
        z = self._activations(x)
        places = self._learned(z) if self.training and self.config.sparsity == "batchtopk" else self._keep(z)
        learned = self._shares(len(z))
        if self.config.sparsity == "prefix-topk":
            values, made = self._own_prefixes(z, x, places, learned)
        else:
            values = self._values(z, x, places)
            made = tuple(self._prefixes(values, places, len(z)))
        if self.skip is not None:
            beside = functional.linear(x, self.skip).float()
            made = tuple(m + beside[part] for m, part in zip(made, learned, strict=True))
        revived = None
        if dead is not None and len(dead):
            revived = self._revive(z, x, dead)
        return ForwardOutput(made, target, values, places, revived, learned)

    @torch.no_grad()
    def unit_rows(self) -> None:
        """Scales the decoder's rows to norm 1, unless they are free; after every step."""
        if not self.config.free_rows:
            self.decoders[0].copy_(functional.normalize(self.decoders[0], dim=1))

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Takes from the decoder's gradient what would only change the rows' norms, unless these are free."""
        grad, rows = self.decoders[0].grad, self.decoders[0]
        if not self.config.free_rows and grad is not None:
            grad.sub_((grad * rows).sum(dim=1, keepdim=True) * rows)

    def _normalised(self, inputs: Tensor) -> Tensor:
        return (inputs.float() - self.in_mean) / self.in_scale

    @torch.no_grad()
    def _activations(self, x: Tensor) -> Tensor:
        """Computes [tokens, n_latents], >= 0, before selection; only those kept have a gradient, from `_values`."""
        z = functional.linear(x, self.encoder, self.encoder_bias).float().relu_()
        return z + self.config.jump * (z > self.config.jump) if self.config.jump else z

    def _values(self, z: Tensor, x: Tensor, places: Places) -> Tensor:
        return gathered(z[places], x, self.encoder, self.encoder_bias, places)

    def _keep(self, z: Tensor) -> Places:
        match self.config.sparsity:
            case "batchtopk":
                return above(z, self.threshold)
            case "band-topk":
                return largest_of_bands(z, self.config.bands, self.config.kept)
            case "prefix-topk":
                return largest_of_token(z, self.config.kept[-1])
            case "topk":
                return largest_of_token(z, self.config.k)

    def _learned(self, z: Tensor) -> Places:
        """Keeps the batch's largest, and moves the threshold by their least: a plain mean first, then a running one."""
        places = largest_of_batch(z, self.config.k, 0.8 * float(self.threshold))
        if len(places.tokens):
            self.n_thresholds += 1
            self.threshold.lerp_(z[places].min(), max(1 / 20, 1 / float(self.n_thresholds)))
        return places

    def _shares(self, n_tokens: int) -> tuple[slice, ...]:
        """Returns which tokens of a batch each prefix learns from.

        A prefix that keeps latents of its own costs a decoder's time, so that in training those narrower than the
        dictionary share half of the tokens, on which their gradient has no bias. All others learn from all.
        """
        n_narrow = len(self.widths) - 1
        own = self.config.sparsity == "prefix-topk" and self.config.prefix_tokens == "shared"
        step = SHARED * n_narrow
        if not own or not self.training or n_tokens < step:
            return (slice(None),) * len(self.widths)
        return (*(slice(i, None, step) for i in range(n_narrow)), slice(None))

    def _prefixes(self, values: Tensor, places: Places, n_tokens: int) -> Iterator[Tensor]:
        """Yields [tokens, d_out] for each width, without skip connection."""
        if self.config.decoder == "shared":
            yield from self._running(values, places, n_tokens)
            return
        for width in self.widths:
            decoder, bias = self._decoder(width)
            on = places.below(width)
            yield decoded(values[on], decoder, places.latents[on], places.tokens[on], n_tokens) + bias

    def _running(self, values: Tensor, places: Places, n_tokens: int) -> Iterator[Tensor]:
        """Makes each prefix of the one before and one band more, so that each decoder row is used once."""
        n_bands = len(self.widths)
        bags = places.tokens * n_bands + self.band_of[places.latents]
        parts = decoded(values, self.decoders[0], places.latents, bags, n_tokens * n_bands)
        yield from running(parts.unflatten(0, (n_tokens, n_bands)), self.decoder_biases[0])

    def _own_prefixes(
        self, z: Tensor, x: Tensor, places: Places, learned: tuple[slice, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Keeps the largest of each prefix by itself (arXiv 2512.05534, eq. 9).

        Tokens stand one after the other, once for each prefix that learns from them, so that each weight's gradient is
        summed once.

        Returns:
            [n_entries] of the whole dictionary, and [tokens, d_out] for each width, without skip connection.
        """
        narrow = tuple(zip(self.widths[:-1], self.config.kept[:-1], learned[:-1], strict=True))
        activations = (z, *(z[part, :width] for width, _, part in narrow))
        own = (places, *(largest_of_token(of, k) for of, (_, k, _) in zip(activations[1:], narrow, strict=True)))
        n_tokens, n_entries = [len(of) for of in activations], [len(one.tokens) for one in own]
        starts = (sum(n_tokens[:i]) for i in range(len(own)))
        tokens = torch.cat([one.tokens + start for one, start in zip(own, starts, strict=True)])
        joined = Places(tokens, torch.cat([one.latents for one in own]))
        known = torch.cat([of[one] for of, one in zip(activations, own, strict=True)])
        rows = torch.cat([x, *(x[part] for _, _, part in narrow)])
        values = gathered(known, rows, self.encoder, self.encoder_bias, joined)
        parts = values.split(n_entries)
        if self.config.decoder == "shared":
            decoder, bias = self._decoder(self.n_latents)
            first, *others = (decoded(values, decoder, joined.latents, tokens, sum(n_tokens)) + bias).split(n_tokens)
        else:
            first, *others = (
                decoded(part, self._decoder(width)[0], one.latents, one.tokens, n) + self._decoder(width)[1]
                for part, one, n, width in zip(parts, own, n_tokens, (self.n_latents, *self.widths), strict=False)
            )
        return parts[0], (*others, first)

    def _decoder(self, width: int) -> tuple[Tensor, Tensor]:
        """Returns [at least `width`, d_out] and [d_out]: rows and bias that the prefix of `width` decodes with."""
        i = self.widths.index(width) if self.config.decoder == "separate" else 0
        return self.decoders[i], self.decoder_biases[i]

    def _revive(self, z: Tensor, x: Tensor, dead: Tensor) -> Tensor:
        """Reconstructs from dead latents alone, half as many as output channels at most (Gao et al. 2024, B.1)."""
        k = min(max(1, self.config.d_out // 2), len(dead))
        own = largest_of_token(z[:, dead], k)
        own = Places(own.tokens, dead[own.latents])
        return decoded(self._values(z, x, own), self.decoders[-1], own.latents, own.tokens, len(z))

    def _encode(self, inputs: Tensor, width: int) -> Encoded:
        z = self._activations(self._normalised(inputs))
        if self.config.sparsity == "prefix-topk":
            places = largest_of_token(z[:, :width], self.config.kept[self.widths.index(width)])
        else:
            places = self._keep(z)
        on = places.below(width)
        places = Places(places.tokens[on], places.latents[on])
        return packed(z[places], places, len(z))


class RawUnits:
    """A model's own units as latents: the baseline that no dictionary was learned for.

    Args:
        n_units: Channels of the activation, each a latent.
        k: Units kept a token, the largest by magnitude; their values keep their sign.
    """

    def __init__(self, n_units: int, k: int) -> None:
        self.n_latents = n_units
        self.widths = (n_units,)
        self.k = min(k, n_units)

    def encode(self, inputs: Tensor, /) -> Encoded:
        """Returns the largest units of each token of `inputs`, [tokens, n_units]."""
        indices = inputs.abs().topk(self.k, dim=1).indices
        return Encoded(inputs.float().gather(1, indices), indices)
