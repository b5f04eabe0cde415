"""A coder that learned nothing, as a control: the form of a trained one, random weights."""

import torch

from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coders.linear import LinearCoder
from autointerp.transcoder.settings import CoderConfig


def untrained(coder: SparseCoder | LinearCoder, *, l0: float, seed: int) -> SparseCoder:
    """Draws a coder with the widths, the scale of inputs and the number of active latents of a trained one.

    It keeps the largest latents of each token. So it does in place of `batchtopk` and of other tools' thresholds, which
    mean nothing without training.

    Args:
        coder: the trained one.
        l0: latents that it has on a token, on the mean: as many are kept where its form does not say.
        seed: of the weights.
    """
    of = coder.config
    k = min(of.n_latents, of.k or max(1, round(l0)))
    if isinstance(of, CoderConfig):
        config = of.model_copy(update={"sparsity": "topk"} if of.sparsity == "batchtopk" else {})
    else:
        config = CoderConfig(kind=of.kind, widths=of.widths, k=k, sparsity="topk", d_in=of.d_in, d_out=of.d_out)
    made = SparseCoder(config)
    made.start(seed)
    with torch.no_grad():
        if isinstance(coder, SparseCoder):
            made.in_mean.copy_(coder.in_mean)
            made.in_scale.copy_(coder.in_scale)
        elif coder.shift is not None:
            made.in_mean.copy_(coder.shift)
    return made.to(coder.encoder.device).eval()
