"""What a coder is judged by, the same for every library: all of it at the same number of latents on a token."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.coders.world import World

FOUND = 0.9
"""A planted direction is found where a decoder row has this cosine with it."""


class Coder(NamedTuple):
    """A trained coder of any library, as far as it is measured."""

    activations: Callable[[Tensor], Tensor]
    """[tokens, CHANNELS] to [tokens, n_latents], at least 0, before any are left out; those kept are the largest."""
    rows: Tensor
    """[n_latents, CHANNELS]: what a latent adds to the output, times its activation."""
    bias: Tensor
    """[CHANNELS]."""
    kept: str
    """`token`: the k largest of each token; `batch`: all above a threshold; `prefix`: the k largest of each prefix."""
    nested: bool
    """Whether its latents stand in nested prefixes; those of a plain coder are put in order by what they explain."""


class Measured(NamedTuple):
    """Figures of a coder on held-out tokens."""

    fvu: tuple[float, ...]
    """The fraction of variance unexplained, of each prefix."""
    l0: float
    """Latents on, a token."""
    dead: float
    """The share of latents that no held-out token turns on."""
    parents: float
    """The share of planted parents found."""
    children: float
    lone: float
    absorption: float
    """How much more often the latent of a parent is silent where one of its children is on than where it is alone."""
    nesting: float
    """How often the latent of a parent is on where that of its child is; 0 where one latent stands for both."""


@torch.inference_mode()
def measured(coder: Coder, world: World, *, transcodes: bool, widths: tuple[int, ...], k: int) -> Measured:
    """Measures a coder on the held-out tokens, its prefixes of these widths, with `k` latents on a token."""
    x, target = world.held.inputs, world.held.targets if transcodes else world.held.inputs
    z = coder.activations(x)
    rows = coder.rows
    on = _kept(z, k, coder.kept)
    if not coder.nested:
        power = (on * z).square().sum(dim=0) * rows.square().sum(dim=1)
        order = power.argsort(descending=True)
        z, rows, on = z[:, order], rows[order], on[:, order]
    variance = (target - target.mean(dim=0)).square().sum()
    fvu = []
    for width in widths:
        own = _kept(z[:, :width], k, coder.kept) if coder.kept == "prefix" else on[:, :width]
        made = (z[:, :width] * own) @ rows[:width] + coder.bias
        fvu.append(float((target - made).square().sum() / variance))
    directions = world.writes if transcodes else world.reads
    cosines = (functional.normalize(rows, dim=1) @ directions.T).max(dim=0).values
    found = (cosines >= FOUND).float()
    absorption, nesting = _hierarchy(on, world)
    return Measured(
        fvu=tuple(fvu),
        l0=float(on.sum()) / len(on),
        dead=float((~on.any(dim=0)).float().mean()),
        parents=float(found[world.parents].mean()),
        children=float(found[world.children].mean()),
        lone=float(found[world.lone].mean()),
        absorption=absorption,
        nesting=nesting,
    )


def _kept(z: Tensor, k: int, kept: str) -> Tensor:
    """Returns [tokens, n_latents], bool: the latents that are on, `k` a token; on the mean over all with `batch`."""
    if kept == "batch":
        threshold = z.flatten().topk(k * len(z)).values.min()
        return (z >= threshold) & (z > 0)
    at = z.topk(k, dim=1).indices
    return torch.zeros_like(z, dtype=torch.bool).scatter_(1, at, value=True) & (z > 0)


def _hierarchy(on: Tensor, world: World) -> tuple[float, float]:
    """Returns absorption and nesting; the latent of a planted direction is the one that fires most like it, by F1."""
    truth = world.held.on
    both = on.float().T @ truth.float()
    f1 = 2 * both / (on.sum(dim=0)[:, None] + truth.sum(dim=0)[None]).clamp(min=1)
    latent = f1.argmax(dim=0)
    absorbed, nested = [], []
    for parent in world.parents.tolist():
        mine = world.children[world.parent_of == parent]
        fires, with_child = on[:, latent[parent]], truth[:, mine].any(dim=1)
        alone = truth[:, parent] & ~with_child
        absorbed.append(float(fires[alone].float().mean() - fires[with_child].float().mean()))
        for child in mine.tolist():
            theirs = on[:, latent[child]]
            apart = latent[child] != latent[parent] and bool(theirs.any())
            nested.append(float(fires[theirs].float().mean()) if apart else 0.0)
    return sum(absorbed) / len(absorbed), sum(nested) / len(nested)
