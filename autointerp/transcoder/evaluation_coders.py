"""Coders to be measured: fitted to the activations that they are of, with their figures on held-out tokens."""

from pathlib import Path
from typing import NamedTuple

from autointerp.errors import SettingsError
from autointerp.transcoder.coder_io import StoredCoder
from autointerp.transcoder.evaluation import CoderFigures, mean_target, nesting
from autointerp.transcoder.layer_substitution import Placed
from autointerp.transcoder.losses import measure
from autointerp.transcoder.settings import EvaluateSettings
from autointerp.transcoder.store import Activations, ActivationStore
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import Side

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

    Args:
        held: the store.
        name: of the coder, as the user wrote it.
        stored: the coder.
        settings: how much is measured.
        device: where it runs from now on.

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
    if info.model == "unknown":
        # A coder of another program does not say what it read: the store stands for it.
        return (
            about.reads,
            about.reads if autoencodes else about.writes or about.reads,
            "inputs" if autoencodes else "both",
        )
    sides: dict[tuple[str, str | None], Side]
    if autoencodes:
        sides = {(about.reads, about.reads): "inputs", (about.writes or about.reads, about.writes): "targets"}
    else:
        sides = {(about.reads, about.writes): "both"}
    side = sides.get((info.reads, info.writes))
    if info.model != about.backbone or side is None:
        raise SettingsError(
            f"--coder {name}: is of {info.model}, {info.reads} to {info.writes}, and the activations are of "
            f"{about.backbone}, {about.reads} to {about.writes or about.reads}; name their own store"
        )
    return info.reads, info.writes, side


def control(name: str, stored: StoredCoder, device: str) -> Placing:
    """Places a coder of another backbone; its figures are those of its training, as its activations are not here.

    Args:
        name: of the coder, as the user wrote it.
        stored: the coder.
        device: where it runs from now on.

    Raises:
        SettingsError: it does not say which model it reads.
    """
    info = stored.info
    if info.model == "unknown":
        raise SettingsError(f"--control {name}: does not say which model it reads")
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
