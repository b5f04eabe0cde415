"""Trains a sparse coder on a stream of tokens."""

import math
import time
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.coder import ForwardOutput, SparseCoder
from autointerp.transcoder.config import CoderConfig, TrainSettings
from autointerp.transcoder.losses import LOSSES, l0, nested_fvu
from autointerp.transcoder.tokens import TokenBatch, TokenSource
from autointerp.transcoder.training_state import TrainingState, resumed, save, started


class Report(NamedTuple):
    """How training stands after a step, measured on that step's batch."""

    step: int
    steps: int
    losses: dict[str, float]
    """Weighted terms, whose sum is minimised."""
    fvu: tuple[float, ...]
    """Of each width."""
    l0: float
    """Latents on, a token."""
    dead_share: float
    """Share of latents that were silent for `dead_after` tokens."""
    seconds: float
    """Since training began or went on."""
    done: int
    """Steps in that time."""


def train(
    config: CoderConfig,
    source: TokenSource,
    settings: TrainSettings,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Report], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> SparseCoder:
    """Trains a coder, or goes on from a checkpoint to the very weights that it would have had without the stop.

    Args:
        config: What to train.
        source: Tokens; read from its first batch on, or from where the checkpoint stands.
        settings: How.
        checkpoint: File to keep the state in; gone on from if it is there. None keeps none.
        progress: Told every `report_every` steps and at the end.
        stopping: Asked after each step whether to keep the state and end.

    Returns:
        The coder, not in training mode.

    Raises:
        KeyboardInterrupt: it was to end; it names the option that goes on from the checkpoint.
        SettingsError: the device, the checkpoint or the source cannot be used, or the loss is no longer finite.
    """
    if checkpoint is not None and checkpoint.exists():
        state = resumed(config, settings, checkpoint)
    else:
        state = started(config, settings)
        if config.normalise:
            fit(state.coder, source, settings)
    began, first = time.monotonic(), state.step
    state.coder.train()
    for batch in islice(source.batches(settings.batch, first), settings.steps - first):
        out, losses = learn(state, batch, settings)
        if state.step % settings.report_every == 0 or state.step == settings.steps:
            report = _report(state, out, losses, settings.steps, time.monotonic() - began, state.step - first)
            if progress:
                progress(report)
        ending = stopping()
        if checkpoint is not None and (ending or state.step % settings.checkpoint_every == 0):
            save(state, settings, checkpoint)
        if ending:
            raise KeyboardInterrupt(*(() if checkpoint is None else ("--resume",)))
    return state.coder.eval()


def learn(state: TrainingState, batch: TokenBatch, settings: TrainSettings) -> tuple[ForwardOutput, dict[str, Tensor]]:
    """Learns from one batch: forward, backward, and the decoder's rows back to norm 1.

    Returns:
        What the batch was made into, and each term of the loss, [].
    """
    coder, optimiser = state.coder, state.optimiser
    device = torch.device(settings.device)
    for group in optimiser.param_groups:
        group["lr"] = rate(state.step, settings)
    inputs, targets = batch.inputs.to(device), batch.targets.to(device)
    dead = state.dead() if coder.config.aux_weight else None
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        out = coder(inputs, targets, dead)
        losses = {name: loss(out, coder.config) for name, loss in LOSSES.items()}
    optimiser.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    coder.project_gradient()
    torch.nn.utils.clip_grad_norm_(coder.parameters(), settings.clip)
    optimiser.step()
    coder.unit_rows()
    state.silent_for += len(inputs)
    state.silent_for.index_fill_(0, out.places.latents, 0)
    state.step += 1
    return out, losses


def rate(step: int, settings: TrainSettings) -> float:
    """Computes the learning rate of a step, from 0: it rises over `warm_up` steps, and falls over the last share."""
    falling = settings.decay * settings.steps
    rise = (step + 1) / settings.warm_up if settings.warm_up else 1.0
    return settings.rate * min(1.0, rise) * min(1.0, (settings.steps - step) / max(1.0, falling))


@torch.no_grad()
def fit(coder: SparseCoder, source: TokenSource, settings: TrainSettings) -> None:
    """Fits means, and scales that bring the mean squared channel to 1, on the source's first tokens.

    One scale for all channels keeps the geometry of the space; a constant input or target keeps the scale 1.
    """
    sums: dict[str, Tensor] = {}
    n_batches = max(1, settings.fit_tokens // settings.batch)
    batches = islice(source.batches(settings.batch, 0), n_batches)
    head = next(batches)
    # Sums are taken around the first batch's mean: squares of far-off values would swallow the variance.
    origin = {"in": head.inputs.double().mean(dim=0), "out": head.targets.double().mean(dim=0)}
    n_tokens = 0
    for batch in chain((head,), batches):
        for side, rows in (("in", batch.inputs), ("out", batch.targets)):
            shifted = rows.double() - origin[side]
            for name, value in ((f"{side}", shifted.sum(dim=0)), (f"{side}²", shifted.square().sum(dim=0))):
                sums[name] = sums[name] + value if name in sums else value
        n_tokens += len(batch.inputs)
    for side in ("in", "out"):
        mean = sums[side] / n_tokens
        variance = float((sums[f"{side}²"] / n_tokens - mean.square()).mean())
        coder.get_buffer(f"{side}_mean").copy_(mean + origin[side])
        coder.get_buffer(f"{side}_scale").fill_(math.sqrt(variance) if variance > 0 else 1.0)


def _report(
    state: TrainingState, out: ForwardOutput, losses: dict[str, Tensor], steps: int, seconds: float, done: int
) -> Report:
    stated = {name: float(loss.detach()) for name, loss in losses.items()}
    if not math.isfinite(sum(stated.values())):
        raise SettingsError(
            f"step {state.step}: the loss is no longer finite; lower --rate, or look at the activations"
        )
    with torch.no_grad():
        fvu = tuple(nested_fvu(out.made, out.target).tolist())
    dead = len(state.dead()) / state.coder.n_latents
    return Report(state.step, steps, stated, fvu, l0(out), dead, seconds, done)
