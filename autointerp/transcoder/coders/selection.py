"""Which latents of a token other tools' coders keep, in the forms that these have."""

from typing import Literal

import torch
from torch import Tensor

from autointerp.record import Record
from autointerp.transcoder.activation import above, largest_of_bands, largest_of_token
from autointerp.transcoder.sparse import Places


class Keep(Record):
    """Says which latents of a token are kept, of those above 0."""

    rule: Literal["relu", "tanh", "topk", "abs-topk", "threshold", "groupmax", "band-topk"]
    """`relu`: all; `tanh`: all, of which the hyperbolic tangent is taken; `topk`: the largest; `abs-topk`: of the
    largest by magnitude; `threshold`: those above each one's threshold; `groupmax`: the largest of each of `k` equal
    groups; `band-topk`: the largest of each band of `bands`, by magnitude."""
    k: int | None = None
    """How many of a token; with `groupmax`, of how many groups."""
    ks: tuple[int, ...] = ()
    """How many of each band."""
    bands: tuple[int, ...] = ()
    """Latents of each band."""
    inclusive: bool = False
    """Whether a latent that equals its threshold is kept."""


def kept(keep: Keep, z: Tensor, threshold: Tensor) -> tuple[Tensor, Places]:
    """Returns activations, [tokens, n_latents], and where those that are kept lie; all of these are above 0.

    Args:
        keep: the rule.
        z: [tokens, n_latents], before the nonlinearity.
        threshold: [n_latents] or []; only the rule `threshold` looks at it.
    """
    match keep.rule:
        case "relu":
            return z, above(z, 0.0)
        case "tanh":
            z = z.relu().tanh()
            return z, above(z, 0.0)
        case "topk":
            return z, largest_of_token(z, min(keep.k or z.shape[1], z.shape[1]))
        case "threshold":
            on = z >= threshold if keep.inclusive else z > threshold
            return z, Places(*(on & (z > 0)).nonzero(as_tuple=True))
        case "groupmax":
            return z, _group_maxima(z, keep.k or 1)
        case "abs-topk":
            return z, _positive(z, largest_of_token(z.abs(), min(keep.k or z.shape[1], z.shape[1])))
        case "band-topk":
            return z, _positive(z, largest_of_bands(z.abs(), keep.bands, keep.ks))


def _group_maxima(z: Tensor, n_groups: int) -> Places:
    size = z.shape[1] // n_groups
    values, within = z.unflatten(-1, (n_groups, size)).max(dim=-1)
    latents = within + size * torch.arange(n_groups, device=z.device)
    tokens, groups = (values > 0).nonzero(as_tuple=True)
    return Places(tokens, latents[tokens, groups])


def _positive(z: Tensor, places: Places) -> Places:
    on = z[places] > 0
    return Places(places.tokens[on], places.latents[on])
