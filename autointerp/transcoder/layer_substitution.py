"""Measures coders on tokens, and runs images through a backbone with a layer replaced by what coders make of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.populations.images import PopulationImage
from autointerp.statistics.rates import Floats
from autointerp.transcoder.backbones.headed import HIDDEN, LOGIT
from autointerp.transcoder.backbones.protocol import CLASS_TOKEN, Backbone, Swap, hookpoint_of
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.classifier import ClassifierRef, same_network
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import ForeignInfo, StoredCoder
from autointerp.transcoder.coders.linear import LinearCoder
from autointerp.transcoder.coders.peer_names import UNKNOWN
from autointerp.transcoder.evaluation import CoderFigures, mean_target, nesting
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.image_peaks import Reading, image_peaks
from autointerp.transcoder.losses import measure
from autointerp.transcoder.settings import EvaluateSettings
from autointerp.transcoder.store import Activations, ActivationStore
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import Side

MEAN = "mean"
"""In the layer's place a constant: the mean of what it writes."""


class Placed(NamedTuple):
    """A coder and where in the backbone it belongs."""

    coder: SparseCoder | LinearCoder
    reads: str
    """Hookpoint."""
    writes: str
    """Hookpoint; that of `reads` for an autoencoder."""
    mean: Tensor | None = None
    """[d_out]: of what the layer writes; None where nothing is to be replaced."""


class Looked(NamedTuple):
    """What was seen of some images."""

    peaks: dict[str, Peaks]
    """By coder: [n, n_latents], the maximum over an image's patches."""
    before: Floats
    """Log odds of the images that were replaced in, shape [m]; empty without a classifier."""
    after: dict[str, dict[str, Floats]]
    """By coder and by what took the layer's place: log odds, shape [m]."""


def check_placed(backbone: Backbone, name: str, placed: Placed, head_reads: str | None) -> None:
    """Sees that a coder fits, and that the classifier lies behind it.

    Raises:
        SettingsError: a hookpoint is missing, has another width, or is not before the classifier's.
    """
    config = placed.coder.config
    for hookpoint, width in ((placed.reads, config.d_in), (placed.writes, config.d_out)):
        found = hookpoint_of(backbone, hookpoint).width
        if found != width:
            raise SettingsError(
                f"--coder {name}: has {width} channels at {hookpoint}, and {backbone.name} has {found}; "
                "it was trained on another model"
            )
    order = list(backbone.hookpoints)
    first, last = (order.index(name.removesuffix(CLASS_TOKEN)) for name in (placed.reads, placed.writes))
    if first > last:
        raise SettingsError(f"--coder {name}: reads {placed.reads}, which comes after {placed.writes} that it replaces")
    inside = placed.writes in (HIDDEN, LOGIT)
    if head_reads is not None and not inside and last > order.index(head_reads.removesuffix(CLASS_TOKEN)):
        raise SettingsError(
            f"--classifier: reads {head_reads}, which comes before {placed.writes} of --coder {name}, "
            "so that replacing it changes nothing; train one on a later hookpoint"
        )


def look(
    backbone: Backbone,
    images: Sequence[PopulationImage],
    coders: Mapping[str, Placed],
    *,
    replace_in: Collection[int],
    batch: int,
    progress: Callable[[int, int], None],
) -> Looked:
    """Runs each image once as it is, and those of `replace_in` once more for every coder's every prefix and its mean.

    Args:
        backbone: with a classifier's `head` if anything is replaced.
        images: in the order of the results.
        coders: by name; they fit the backbone.
        replace_in: ids of the images that the classifier is asked about.
        batch: images run at once.
        progress: is told images done and all images.

    Raises:
        SettingsError: an image has changed since it was read, or a coder's activations are not finite.
    """
    asked = [i for i in images if i.image in frozenset(replace_in)]
    peaks = image_peaks(
        backbone,
        images,
        {name: Reading(placed.coder, placed.reads) for name, placed in coders.items()},
        batch=batch,
        progress=lambda done, total: progress(done, total + len(asked)),
    )
    done = len(images)
    before: list[Tensor] = []
    after: dict[str, dict[str, list[Tensor]]] = {name: {} for name in coders}
    for part, pixels in prepared_batches(backbone, asked, size=batch):
        before.append(backbone.run(pixels, [LOGIT])[LOGIT][:, 0])
        for name, found in _replaced(backbone, pixels, coders).items():
            for what, logits in found.items():
                after[name].setdefault(what, []).append(logits)
        done += len(part)
        progress(done, len(images) + len(asked))
    return Looked(
        peaks,
        _joined(before),
        {name: {what: _joined(found) for what, found in of.items()} for name, of in after.items()},
    )


def _replaced(backbone: Backbone, pixels: Tensor, coders: Mapping[str, Placed]) -> dict[str, dict[str, Tensor]]:
    """Computes log odds, [n], by coder and by what takes the layer's place; equal means at one place are run once."""
    out: dict[str, dict[str, Tensor]] = {}
    means: list[tuple[Placed, Tensor]] = []
    for name, placed in coders.items():
        out[name] = {}
        for what, swap in _swaps(placed).items():
            known = next((found for other, found in means if _same_mean(other, placed)), None) if what == MEAN else None
            if known is None:
                known = backbone.run(pixels, [placed.reads, LOGIT], {placed.writes: swap})[LOGIT][:, 0]
            if what == MEAN:
                means.append((placed, known))
            out[name][what] = known
    return out


def _same_mean(one: Placed, other: Placed) -> bool:
    assert one.mean is not None
    assert other.mean is not None
    return one.writes == other.writes and torch.equal(one.mean, other.mean)


def _joined(parts: list[Tensor]) -> Floats:
    return torch.cat(parts).double().cpu().numpy() if parts else np.zeros(0)


def _swaps(placed: Placed) -> dict[str, Swap]:
    """Returns what takes the layer's place, by its name."""
    coder = placed.coder

    def prefix(width: int) -> Swap:
        def swap(taken: Mapping[str, Tensor]) -> Tensor:
            read, own = taken[placed.reads], taken[placed.writes]
            made = coder.reconstruct(read.reshape(-1, read.shape[-1]), width)
            # A copy, for what inference mode made must not be written into, as a later layer may.
            return made.view(own.shape).to(own).clone()

        return swap

    def mean(taken: Mapping[str, Tensor]) -> Tensor:
        own = taken[placed.writes]
        assert placed.mean is not None
        return placed.mean.to(own).expand_as(own).clone()

    return {f"first {w} latents": prefix(w) for w in coder.widths} | {MEAN: mean}


TOKENS = 1024
"""Tokens encoded at once."""


class Placing(NamedTuple):
    """Is a coder to be measured."""

    placed: Placed
    figures: CoderFigures
    """On tokens alone."""


def on_tokens(
    held: ActivationStore, name: str, stored: StoredCoder, settings: EvaluateSettings, device: str
) -> Placing:
    """Measures a coder on the image groups of a store that its training left out.

    Raises:
        SettingsError: the coder is of other activations.
    """
    info, about = stored.info, held.about
    reads, writes, side = _sides(name, stored, about)
    training = info.training if info.training and info.training.settings.held_out else None
    seed, share = (training.settings.seed, training.settings.held_out) if training else (0, settings.held_out)
    source = StoreSource(held, seed=seed, held_out=share, side=side)
    if (source.d_in, source.d_out) != (info.config.d_in, info.config.d_out):
        raise SettingsError(
            f"--coder {name}: has {info.config.d_in} and {info.config.d_out} channels, and {held.folder} has "
            f"{source.d_in} and {source.d_out}; it was trained on other activations"
        )
    coder = stored.coder.to(device)
    figures = CoderFigures(
        coder=name,
        model=about.backbone,
        kind=info.config.kind,
        reads=reads,
        writes=writes,
        widths=coder.widths,
        held_out=measure(coder, source.held_out(TOKENS, settings.tokens)),
        unseen=training is not None and Path(training.source).resolve() == held.folder.resolve(),
        nesting=nesting(coder, lambda: source.held_out(TOKENS, settings.tokens), seed=settings.seed),
    )
    return Placing(Placed(coder, reads, writes, mean_target(source.held_out(TOKENS, settings.tokens))), figures)


def _sides(name: str, stored: StoredCoder, about: Activations) -> tuple[str, str, Side]:
    """Returns hookpoints that a coder reads and writes, and which part of the store it is measured on."""
    info, autoencodes = stored.info, stored.info.config.kind == "sae"
    reads, writes = info.reads, info.writes
    if UNKNOWN in (info.model, reads):
        # A coder of another program does not say what it read: the store stands for it.
        return (
            (about.reads, about.reads, "inputs") if autoencodes else (about.reads, about.writes or about.reads, "both")
        )
    if writes == UNKNOWN and about.writes is not None:
        writes = about.writes
    sides: dict[tuple[str, str | None], Side]
    if autoencodes:
        sides = {(about.reads, about.reads): "inputs", (about.writes or about.reads, about.writes): "targets"}
    else:
        sides = {(about.reads, about.writes): "both"}
    side = sides.get((reads, writes))
    if not same_network(info.classifier, about.classifier):
        raise SettingsError(
            f"--coder {name}: reads {_whose(info.classifier)}, and the activations are of {_whose(about.classifier)}; "
            "name their own store"
        )
    if info.model != about.backbone or side is None:
        raise SettingsError(
            f"--coder {name}: is of {info.model}, {reads} to {writes}, and the activations are of "
            f"{about.backbone}, {about.reads} to {about.writes or about.reads}; name their own store"
            f"{', or give --backbone and --reads' if isinstance(info, ForeignInfo) else ''}"
        )
    return reads, writes, side


def _whose(classifier: ClassifierRef | None) -> str:
    return "a backbone by itself" if classifier is None else f"the network of the classifier {classifier}"


def control(name: str, stored: StoredCoder, device: str) -> Placing:
    """Places a coder of another backbone; its figures are those of its training, as its activations are not here.

    Raises:
        SettingsError: it does not say which model it reads.
    """
    info = stored.info
    if UNKNOWN in (info.model, info.reads):
        raise SettingsError(f"--control {name}: does not say which model it reads")
    if info.classifier is not None:
        raise SettingsError(f"--control {name}: reads a classifier's network; a control is of a backbone by itself")
    figures = CoderFigures(
        coder=name,
        model=info.model,
        kind=info.config.kind,
        reads=info.reads,
        writes=info.writes,
        widths=info.config.widths,
        held_out=info.training.held_out if info.training else None,
        unseen=info.training is not None and info.training.held_out is not None,
    )
    return Placing(Placed(stored.coder.to(device), info.reads, info.writes), figures)
