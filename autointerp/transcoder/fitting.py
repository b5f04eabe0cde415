"""What is found out of the tokens before training: means, scales, and the linear map that a transcoder begins with."""

import math
from itertools import chain, islice

import torch
from torch import Tensor

from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.settings import CoderConfig, TrainSettings
from autointerp.transcoder.tokens import TokenSource

RIDGE = 0.01
"""The penalty of the map's squared weights, over the mean square of an input channel."""


class _Moments:
    """Sums over tokens, around the first batch's mean: squares of far-off values would swallow the variance.

    Args:
        origins: [d_in] and [d_out], float64, of inputs and targets.
        crossed: Whether products of channels are summed too.
    """

    def __init__(self, origins: list[Tensor], *, crossed: bool) -> None:
        self.origins = origins
        self.tokens = 0
        self._sums, self._squares = ([torch.zeros_like(origin) for origin in origins] for _ in range(2))
        d_in = len(origins[0])
        self._products = [origins[0].new_zeros(d_in, len(side)) for side in origins] if crossed else []

    def add(self, sides: tuple[Tensor, Tensor]) -> None:
        """Adds a batch of inputs and targets."""
        shifted = [(rows.double() - origin) for rows, origin in zip(sides, self.origins, strict=True)]
        self.tokens += len(shifted[0])
        for i, rows in enumerate(shifted):
            self._sums[i] += rows.sum(dim=0)
            self._squares[i] += rows.square().sum(dim=0)
        for i, product in enumerate(self._products):
            # Products of single precision, summed in double, are exact enough and twice as fast.
            product += (shifted[0].float().T @ shifted[i].float()).double()

    def mean(self, side: int) -> Tensor:
        """Returns the mean of each channel."""
        return self._sums[side] / self.tokens + self.origins[side]

    def variance(self, side: int) -> float:
        """Returns the mean over channels of their variance."""
        return float((self._squares[side] / self.tokens - (self._sums[side] / self.tokens).square()).mean())

    def covariance(self, side: int) -> Tensor:
        """Returns [d_in, d_in] or [d_in, d_out]: of inputs with one side."""
        means = [s / self.tokens for s in self._sums]
        return self._products[side] / self.tokens - means[0][:, None] * means[side][None]


@torch.no_grad()
def fit(coder: SparseCoder, source: TokenSource, settings: TrainSettings) -> None:
    """Fits what a coder needs to know of its tokens, on the source's first `fit_tokens` of them.

    With `normalise`, these are means, and scales that bring the mean squared channel to 1: one scale for all channels
    keeps the geometry of the space, and a constant input or target keeps the scale 1. A transcoder that starts fitted
    gets the decoder rows that a ridge regression makes of its encoder's.
    """
    mapped = maps(coder.config)
    if not coder.config.normalise and not mapped:
        return
    batches = islice(source.batches(settings.batch, 0), max(1, settings.fit_tokens // settings.batch))
    head = next(batches)
    moments = _Moments([side.double().mean(dim=0) for side in head], crossed=mapped)
    for batch in chain((head,), batches):
        moments.add((batch.inputs, batch.targets))
    if coder.config.normalise:
        for i, side in enumerate(("in", "out")):
            variance = moments.variance(i)
            coder.get_buffer(f"{side}_mean").copy_(moments.mean(i))
            coder.get_buffer(f"{side}_scale").fill_(math.sqrt(variance) if variance > 0 else 1.0)
    if mapped:
        coder.start_from(_ridge(coder, moments))


def maps(config: CoderConfig) -> bool:
    """Says whether a coder begins with what a linear map of its inputs makes."""
    return config.kind == "transcoder" and config.decoder_start == "fitted"


def _ridge(coder: SparseCoder, moments: _Moments) -> Tensor:
    """Returns [d_in, d_out], float32: the map from inputs to targets in the coder's units."""
    inner, outer = moments.covariance(0), moments.covariance(1)
    penalty = RIDGE * max(moments.variance(0), torch.finfo(torch.float32).tiny)
    linear = torch.linalg.solve(inner + penalty * torch.eye(len(inner), dtype=inner.dtype, device=inner.device), outer)
    return (
        (linear * (coder.in_scale.double() / coder.out_scale.double()).to(linear.device))
        .float()
        .to(coder.encoder.device)
    )
