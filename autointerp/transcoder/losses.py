"""What training makes small, and what it is judged by."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from autointerp.record import Record
from autointerp.transcoder.coder import ForwardOutput, SparseCoder
from autointerp.transcoder.coders.linear import LinearCoder
from autointerp.transcoder.settings import CoderConfig
from autointerp.transcoder.tokens import TokenBatch


def nested_error(out: ForwardOutput, config: CoderConfig) -> Tensor:
    """Returns []: Σ wᵢ·mean (target - madeᵢ)² over the prefixes (Bussmann et al. 2025, Matryoshka SAEs)."""
    total = out.target.new_zeros(())
    for made, target, weight in zip(out.made, out.targets, config.weights, strict=True):
        total = total + weight * functional.mse_loss(made, target)
    return total


def auxiliary_error(out: ForwardOutput, config: CoderConfig) -> Tensor:
    """Returns []: weighted mean (rest - revived)² of the rest that the dictionary leaves over (Gao et al. 2024)."""
    if out.revived is None:
        return out.target.new_zeros(())
    rest = (out.target - out.made[-1]).detach()
    return config.aux_weight * functional.mse_loss(out.revived, rest)


def magnitude(out: ForwardOutput, config: CoderConfig) -> Tensor:
    """Returns []: mean |z| over tokens and latents, zeros included; weighted."""
    return config.l1_weight * out.values.abs().sum() / (len(out.target) * config.n_latents)


LOSSES: dict[str, Callable[[ForwardOutput, CoderConfig], Tensor]] = {
    "error": nested_error,
    "auxiliary": auxiliary_error,
    "magnitude": magnitude,
}
"""Training minimises their sum."""


def nested_fvu(made: Sequence[Tensor], target: Tensor) -> Tensor:
    """Computes Σ(target - made)² / Σ(target - its mean)² of each prefix, [n_widths]; 1 is no better than the mean.

    Args:
        made: [tokens, d_out] for each width.
        target: [tokens, d_out], in the same units.
    """
    variance = (target - target.mean(dim=0)).square().sum()
    return torch.stack([(target - m).square().sum() for m in made]) / variance


def l0(out: ForwardOutput) -> float:
    """Computes how many latents are on, a token."""
    return len(out.values) / len(out.target)


class HeldOut(Record):
    """Says how well a coder does on tokens that it did not learn from."""

    tokens: int
    fvu: tuple[float, ...]
    """The fraction of variance unexplained, of each width."""
    l0: tuple[float, ...]
    """How many latents of each prefix are on, a token."""
    dead_share: float
    """The share of latents that none of the tokens turns on."""


@torch.inference_mode()
def measure(coder: SparseCoder | LinearCoder, batches: Iterable[TokenBatch]) -> HeldOut:
    """Streams batches through every prefix as it encodes outside training.

    Args:
        coder: Left as it is.
        batches: Raw units; at least one.
    """
    device = coder.encoder.device
    n_widths = len(coder.widths)
    errors, on = torch.zeros(n_widths, dtype=torch.float64), torch.zeros(n_widths)
    total, squares = torch.zeros(coder.config.d_out, dtype=torch.float64), 0.0
    fired = torch.zeros(coder.n_latents, dtype=torch.bool)
    tokens = 0
    for batch in batches:
        x, y = batch.inputs.to(device), batch.targets.to(device).float()
        full = coder.encode(x)
        fired[full.indices[full.values > 0].cpu()] = True
        for i, width in enumerate(coder.widths):
            encoded = coder.encode(x, width) if coder.config.sparsity == "prefix-topk" else full
            errors[i] += (y - coder.decode(encoded, width, x)).double().square().sum().cpu()
            on[i] += ((encoded.values > 0) & (encoded.indices < width)).sum().cpu()
        # Around the coder's own mean, so that far-off means do not swallow the variance.
        centred = (y - coder.out_mean).double()
        total += centred.sum(dim=0).cpu()
        squares += float(centred.square().sum())
        tokens += len(y)
    variance = squares - float(total.square().sum()) / tokens
    return HeldOut(
        tokens=tokens,
        fvu=tuple((errors / variance).tolist()),
        l0=tuple((on / tokens).tolist()),
        dead_share=1 - float(fired.float().mean()),
    )
