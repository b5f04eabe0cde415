"""Computes what nesting does to latents, and what replacing a layer does to a classifier; holds all such figures."""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from autointerp.record import Record
from autointerp.statistics.rates import Bools, Floats, Ints, wilson
from autointerp.transcoder.attribute_association import Association
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coders.linear import LinearCoder
from autointerp.transcoder.estimate import Estimate
from autointerp.transcoder.losses import HeldOut
from autointerp.transcoder.pair_figures import AskedPairs, CoderPairs
from autointerp.transcoder.settings import EvaluateSettings
from autointerp.transcoder.tokens import TokenBatch

N_DRAWS = 1000
"""Bootstrap samples behind an interval."""


class Nesting(Record):
    """How the latents of a prefix share their work with the rest of the dictionary; each figure a mean over them.

    A latent's closest later one is that beyond the prefix, of those that fire at all, whose decoder row has the
    highest cosine with its own. These are indicators: absorption proper (Chanin et al. 2024, arXiv 2409.14507) is
    measured against labels of the concept, and a token that needs a latent is told here by its target instead.
    """

    width: int
    """Latents of the prefix."""
    n_firing: int
    """Those of them that fire on some token: the ones the means are over."""
    cosine: float
    """With the closest later one."""
    cosine_random: float
    """The same between as many random directions: what the size of the dictionary alone brings about."""
    also: float
    """Of the tokens that fire it, the share on which the closest later one fires too: splitting (Bricken et al. 2023)
    adds a narrower latent that fires with, or in place of, a broad one."""
    also_chance: float
    """Share of all tokens on which the closest later one fires."""
    missed: float
    """Of the tokens that need it, the share on which it is silent. Those need it whose target has a part along
    its decoder row at least as large as the mean over the tokens that fire it."""
    instead: float
    """Of the tokens that need it, the share on which it is silent and the closest later one fires: absorption."""
    instead_chance: float
    """The same, were the closest later one's firing independent: `missed` times its share of all tokens."""


class _Tokens(NamedTuple):
    on: Tensor
    """[tokens, n_latents], bool."""
    along: Tensor
    """[tokens, n_broad]: the target's part along the decoder rows of all but the last band."""


@torch.inference_mode()
def nesting(
    coder: SparseCoder | LinearCoder, batches: Callable[[], Iterable[TokenBatch]], *, seed: int
) -> tuple[Nesting, ...]:
    """Computes the figures of each prefix but the whole dictionary, as the whole dictionary encodes.

    Args:
        coder: whose prefixes; one without smaller prefixes has no figures.
        batches: gives the same tokens, raw units, each time it is called: twice.
        seed: of the random directions.

    Returns:
        One for each prefix; those of which no latent fires, or none beyond, are left out.
    """
    widths = coder.widths[:-1]
    if not widths:
        return ()
    rows = functional.normalize(coder.decoders[-1].float(), dim=1)
    n_tokens, fired, along = 0, torch.zeros(coder.n_latents), torch.zeros(widths[-1], dtype=torch.float64)
    for batch in batches():
        seen = _seen(coder, rows, batch, widths[-1])
        n_tokens += len(seen.on)
        fired += seen.on.sum(dim=0).cpu()
        along += (seen.along * seen.on[:, : widths[-1]]).sum(dim=0).double().cpu()
    needed = (along / fired[: widths[-1]].clamp(min=1)).float()
    closest = {w: found for w in widths if (found := _closest(rows.cpu(), fired, w)) is not None}
    counts = {w: torch.zeros(4, w) for w in closest}
    for batch in batches():
        seen = _seen(coder, rows, batch, widths[-1])
        for width, child in closest.items():
            counts[width] += _counts(seen, needed.to(rows.device), child.to(rows.device), width).cpu()
    chance = functional.normalize(torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed)), dim=1)
    return tuple(_nesting(w, counts[w], closest[w], rows.cpu(), chance, fired, n_tokens) for w in closest)


def _seen(coder: SparseCoder | LinearCoder, rows: Tensor, batch: TokenBatch, n_broad: int) -> _Tokens:
    inputs, targets = batch.inputs.to(rows.device), batch.targets.to(rows.device).float()
    on = coder.encode(inputs).dense(coder.n_latents) > 0
    return _Tokens(on, targets @ rows[:n_broad].T)


def _closest(rows: Tensor, fired: Tensor, width: int) -> Tensor | None:
    """Returns [width], int64: the closest later latent of each; None where none beyond, or none within, fires."""
    if not (fired[:width] > 0).any() or not (fired[width:] > 0).any():
        return None
    cosine = rows[:width] @ rows[width:].T
    return cosine.masked_fill(fired[width:] == 0, -2).argmax(dim=1) + width


def _counts(seen: _Tokens, needed: Tensor, child: Tensor, width: int) -> Tensor:
    """Returns [4, width]: tokens on which both fire; that need it; of these, without it; of these, with the other."""
    on, other = seen.on[:, :width], seen.on[:, child]
    need = seen.along[:, :width] >= needed[:width]
    missed = need & ~on
    return torch.stack([(on & other).sum(0), need.sum(0), missed.sum(0), (missed & other).sum(0)]).float()


def _nesting(
    width: int, counts: Tensor, child: Tensor, rows: Tensor, chance: Tensor, fired: Tensor, n_tokens: int
) -> Nesting:
    living = fired[:width] > 0
    both, need, missed, instead = counts[:, living].double()
    need = need.clamp(min=1)
    rate = fired[child][living].double() / n_tokens
    return Nesting(
        width=width,
        n_firing=int(living.sum()),
        cosine=float((rows[:width] * rows[child]).sum(dim=1)[living].mean()),
        cosine_random=float((chance[:width] @ chance[width:].T)[:, fired[width:] > 0].amax(dim=1)[living].mean()),
        also=float((both / fired[:width][living]).mean()),
        also_chance=float(rate.mean()),
        missed=float((missed / need).mean()),
        instead=float((instead / need).mean()),
        instead_chance=float((missed / need * rate).mean()),
    )


def mean_target(batches: Iterable[TokenBatch]) -> Tensor:
    """Returns [d_out], float32: the mean of what a layer writes, over at least one token."""
    total, n_tokens = torch.zeros((), dtype=torch.float64), 0
    for batch in batches:
        total = total + batch.targets.double().sum(dim=0)
        n_tokens += len(batch.targets)
    return (total / n_tokens).float()


class Effect(Record):
    """What putting something in a layer's place does to a classifier."""

    replaced_by: str
    """`first N latents`, or `mean`: a constant, the mean of what the layer writes."""
    change: Estimate
    """Mean absolute change of the log odds, nats."""
    agreement: Estimate
    """Share of images on which the decision, log odds above 0, stays the same."""
    auroc: Estimate | None
    """Afterwards; None without images of both labels."""
    auroc_change: Estimate | None
    """Afterwards minus before."""


class CoderFigures(Record):
    """Says what a coder is worth."""

    coder: str
    """Folder, as it was named."""
    model: str
    kind: str
    reads: str
    """Hookpoint."""
    writes: str
    """Hookpoint."""
    widths: tuple[int, ...]
    held_out: HeldOut | None
    """On held-out tokens of the store; a control's own from its training, None if it has none."""
    unseen: bool
    """Whether training is known to have left these tokens out."""
    nesting: tuple[Nesting, ...] = ()
    """Of each prefix but the whole dictionary."""
    association: Association | None = None
    """None without labelled images."""
    effects: tuple[Effect, ...] = ()
    """Of each prefix in the layer's place, and of the layer's mean; empty without a classifier."""
    pairs: CoderPairs | None = None
    """None where no pairs were given."""


class Asked(Record):
    """The images that the classifier was asked about, and what it said of them as they are."""

    classifier: str
    """Folder."""
    part: Literal["test", "all"]
    n_images: int
    n_groups: int
    n_attribute: int
    auroc: Estimate | None
    """None without images of both labels."""


class Evaluation(Record):
    """Holds all figures of an evaluation."""

    format: Literal["autointerp-evaluation/1"] = "autointerp-evaluation/1"
    created: str
    """ISO 8601, UTC."""
    created_by: str
    """Program and version."""
    store: str
    images: str | None
    settings: EvaluateSettings
    asked: Asked | None
    """None without a classifier."""
    pairs: AskedPairs | None = None
    """None where no pairs were given."""
    coders: tuple[CoderFigures, ...]
    controls: tuple[CoderFigures, ...]
    """Coders of other backbones, e.g. of one with random weights; each on the images as its own backbone sees them."""


class Images(NamedTuple):
    """Images that a classifier was asked about."""

    labels: Bools
    """Shape [n]."""
    known: Bools
    """Whether each has a label; shape [n]."""
    groups: Ints
    """Shape [n]."""


def effect_of(replaced_by: str, before: Floats, after: Floats, images: Images, *, seed: int) -> Effect:
    """Computes the figures of one replacement.

    Args:
        replaced_by: in words.
        before: log odds, shape [n].
        after: log odds, shape [n].
        images: in the same order, at least one.
        seed: of the bootstrap, which draws the same groups for every replacement.
    """
    weights = _weights(images.groups, seed)
    labelled = _both_labels(images)
    return Effect(
        replaced_by=replaced_by,
        change=_of_mean(np.abs(after - before), weights),
        agreement=_widened(_of_mean(((after > 0) == (before > 0)).astype(np.float64), weights), images.groups),
        auroc=area(after, images, seed=seed) if labelled else None,
        auroc_change=_area_change(before, after, images, weights) if labelled else None,
    )


def area(scores: Floats, images: Images, *, seed: int) -> Estimate | None:
    """Computes the chance that an image of label 1 scores above one of label 0 (ties: half); None without both."""
    if not _both_labels(images):
        return None
    drawn = _areas(scores, images, _weights(images.groups, seed))
    return _widened(_interval(_area(scores, images), drawn), images.groups[images.known])


def _area_change(before: Floats, after: Floats, images: Images, weights: Floats) -> Estimate:
    drawn = _areas(after, images, weights) - _areas(before, images, weights)
    return _interval(_area(after, images) - _area(before, images), drawn)


def _both_labels(images: Images) -> bool:
    return len(np.unique(images.labels[images.known])) == 2


def _weights(groups: Ints, seed: int) -> Floats:
    """Returns [draws, n]: how often each image is in a sample of as many groups, drawn with replacement."""
    number = np.unique(groups, return_inverse=True)[1]
    n_groups = int(number.max()) + 1
    drawn = np.random.default_rng((0xB007, seed)).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_DRAWS)
    return drawn[:, number].astype(np.float64)


def _of_mean(values: Floats, weights: Floats) -> Estimate:
    return _interval(float(values.mean()), weights @ values / weights.sum(axis=1))


def _area(scores: Floats, images: Images) -> float:
    return float(_areas(scores, images, np.ones((1, len(scores))))[0])


def _areas(scores: Floats, images: Images, weights: Floats) -> Floats:
    """Returns [draws]; not a number where a sample lacks a label."""
    positive, negative = images.labels & images.known, ~images.labels & images.known
    one, other = scores[positive][:, None], scores[negative]
    wins = (one > other) + 0.5 * (one == other)
    mine, theirs = weights[:, positive], weights[:, negative]
    pairs = mine.sum(axis=1) * theirs.sum(axis=1)
    won = ((mine @ wins) * theirs).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _interval(value: float, drawn: Floats) -> Estimate:
    low, high = np.nanquantile(drawn, (0.025, 0.975)).tolist()
    return Estimate(value=value, low=min(value, low), high=max(value, high))


def _widened(share: Estimate, groups: Ints) -> Estimate:
    """Widens an interval where all samples gave 0 or all 1: the far bound is Wilson's for that many groups."""
    n = len(np.unique(groups))
    if share.low == share.high == 1:
        return share.model_copy(update={"low": wilson(n, n).low})
    if share.low == share.high == 0:
        return share.model_copy(update={"high": wilson(0, n).high})
    return share
