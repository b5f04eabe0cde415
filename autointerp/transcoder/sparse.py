"""Products with matrices that are mostly zero: their forward and backward passes touch only the latents that are on."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional


class Places(NamedTuple):
    """Which latents are on in which tokens: ascending by token, then by latent."""

    tokens: Tensor
    """[n_entries], int64, row of the batch."""
    latents: Tensor
    """[n_entries], int64."""

    def below(self, width: int) -> Tensor:
        """Returns [n_entries], bool: the entries of the first `width` latents."""
        return self.latents < width


class _Gathered(torch.autograd.Function):
    """Entries of `inputs @ weight.T + bias` that are known already; what is off gets no gradient."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, values: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor, latents: Tensor
    ) -> Tensor:
        ctx.save_for_backward(inputs, tokens, latents)
        ctx.n_latents = len(weight)  # pyright: ignore[reportAttributeAccessIssue]
        return values.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0].contiguous()
        inputs, tokens, latents = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        n_latents: int = ctx.n_latents  # pyright: ignore[reportAttributeAccessIssue]
        weight = _sum_rows(inputs, tokens, latents, grad, n_latents)
        bias = torch.zeros(n_latents, dtype=grad.dtype, device=grad.device).index_add_(0, latents, grad)
        return None, None, weight, bias, None, None


class _Decoded(torch.autograd.Function):
    """Sums of decoder rows over bags of entries."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, values: Tensor, decoder: Tensor, latents: Tensor, bags: Tensor, n_bags: int
    ) -> Tensor:
        ctx.save_for_backward(values, decoder, latents, bags)
        return _bag_sum(decoder, latents, bags, values, n_bags)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0].contiguous()
        values, decoder, latents, bags = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        to_decoder = _sum_rows(grad, bags, latents, values, len(decoder))
        return _dots(grad, bags, decoder, latents), to_decoder, None, None, None


class _Running(torch.autograd.Function):
    """Sums of a bias and the first, the first two, … of several parts."""

    @staticmethod
    def forward(ctx: FunctionCtx, parts: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        made = [parts[:, 0] + bias]
        for number in range(1, parts.shape[1]):
            made.append(made[-1] + parts[:, number])
        return tuple(made)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        made = grads[0].new_empty(len(grads[0]), len(grads), grads[0].shape[1])
        made[:, -1] = grads[-1]
        for number in range(len(grads) - 2, -1, -1):
            torch.add(made[:, number + 1], grads[number], out=made[:, number])
        return made, made[:, 0].sum(dim=0)


def gathered(values: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor, places: Places) -> Tensor:
    """Returns entries of `inputs @ weight.T + bias`, with a gradient to `weight` and `bias` (none to `inputs`).

    Args:
        values: [n_entries], the entries, computed without a gradient.
        inputs: [tokens, d_in].
        weight: [n_latents, d_in].
        bias: [n_latents].
        places: Where the entries are.
    """
    made = _Gathered.apply(values, inputs, weight, bias, *places)
    assert isinstance(made, Tensor)
    return made


def decoded(values: Tensor, decoder: Tensor, latents: Tensor, bags: Tensor, n_bags: int) -> Tensor:
    """Returns [n_bags, d_out]: for each bag, the sum of its entries' values times their latents' decoder rows.

    Args:
        values: [n_entries].
        decoder: [n_latents, d_out].
        latents: [n_entries], row of the decoder.
        bags: [n_entries], ascending, 0 … n_bags - 1: a token, or a token's part in one band.
        n_bags: A bag without entries sums to zero.
    """
    made = _Decoded.apply(values, decoder, latents, bags, n_bags)
    assert isinstance(made, Tensor)
    return made


def running(parts: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Returns [tokens, d_out] for each part: the sum of it, those before it and the bias.

    Args:
        parts: [tokens, n_parts, d_out].
        bias: [d_out].
    """
    made = _Running.apply(parts, bias)
    assert isinstance(made, tuple)
    return made


def _bag_sum(table: Tensor, rows: Tensor, bags: Tensor, weights: Tensor, n_bags: int) -> Tensor:
    """Returns [n_bags, d]: sums of `weights` times `table[rows]`; `bags` ascends."""
    counts = torch.bincount(bags, minlength=n_bags)
    offsets = counts.cumsum(0) - counts
    return functional.embedding_bag(rows, table, offsets, mode="sum", per_sample_weights=weights)


def _sum_rows(table: Tensor, rows: Tensor, latents: Tensor, weights: Tensor, n_latents: int) -> Tensor:
    """Returns [n_latents, d]: the same sums for each latent, whose entries lie anywhere."""
    ordered, order = latents.sort(stable=True)
    return _bag_sum(table, rows[order], ordered, weights[order], n_latents)


def _dots(grad: Tensor, bags: Tensor, decoder: Tensor, latents: Tensor) -> Tensor:
    """Returns [n_entries]: inner products of each entry's bag's gradient and its latent's decoder row."""
    # torch's own backward of the weights of a bag is ten times faster than gathering both rows.
    weights = torch.zeros(len(latents), dtype=grad.dtype, device=grad.device, requires_grad=True)
    with torch.enable_grad():
        summed = _bag_sum(decoder.detach(), latents, bags, weights, len(grad))
    return torch.autograd.grad(summed, weights, grad)[0]
