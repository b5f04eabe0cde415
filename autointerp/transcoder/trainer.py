"""Trains a sparse coder on a stream of tokens."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.record import Record
from autointerp.transcoder.classifier import ClassifierRef, same_network
from autointerp.transcoder.coder import ForwardOutput, SparseCoder
from autointerp.transcoder.files import is_none, written
from autointerp.transcoder.fitting import fit
from autointerp.transcoder.losses import LOSSES, l0, nested_fvu
from autointerp.transcoder.precision import products_in, used_precision
from autointerp.transcoder.settings import CoderConfig, CoderForm, StoredConfig, TrainSettings
from autointerp.transcoder.tokens import TokenBatch, TokenSource, on_device

FORMAT = "autointerp-checkpoint/1"


class Stored(Record):
    """The part of a checkpoint that is not tensors: JSON in the header of its file."""

    format: str
    step: int
    config: StoredConfig
    settings: TrainSettings
    classifier: ClassifierRef | None = Field(default=None, exclude_if=is_none)
    """Whose network the tokens are of."""


@dataclass
class TrainingState:
    """A coder on its way. Nothing is drawn at random after the first weights, so there is no generator to keep."""

    coder: SparseCoder
    optimiser: torch.optim.AdamW
    silent_for: Tensor
    """[n_latents], int64: tokens since each latent was last on."""
    step: int
    """Batches learned from."""
    dead_after: int
    """Tokens after which a silent latent is dead."""

    def dead(self) -> Tensor:
        """Returns [n_dead], int64: latents that were silent for `dead_after` tokens."""
        return (self.silent_for >= self.dead_after).nonzero().squeeze(1)


def started(config: CoderConfig, settings: TrainSettings) -> TrainingState:
    """Makes a coder with its first weights.

    Raises:
        SettingsError: this machine has no such device.
    """
    coder = SparseCoder(config)
    coder.start(settings.seed)
    try:
        coder.to(settings.device)
    except (RuntimeError, AssertionError) as error:
        reason = one_line(str(error).partition("\n")[0])
        raise SettingsError(f"--device {settings.device}: cannot be used: {reason}") from error
    optimiser = torch.optim.AdamW(
        coder.parameters(), lr=settings.rate_of(config), weight_decay=settings.weight_decay, fused=True
    )
    silent_for = torch.zeros(config.n_latents, dtype=torch.int64, device=settings.device)
    return TrainingState(coder, optimiser, silent_for, 0, settings.dead_after(config))


def save(state: TrainingState, settings: TrainSettings, path: Path, classifier: ClassifierRef | None = None) -> None:
    """Writes a checkpoint beside `path`, then gives it that name.

    Raises:
        SettingsError: it cannot be written.
    """
    tensors = {f"coder.{name}": tensor for name, tensor in state.coder.state_dict().items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in moments.items()}
    tensors["silent_for"] = state.silent_for
    config = state.coder.config
    stored = Stored(format=FORMAT, step=state.step, config=config, settings=settings, classifier=classifier)
    with written(path) as unfinished:
        save_file(tensors, unfinished, metadata={"state": stored.model_dump_json()})


def resumed(
    config: CoderConfig, settings: TrainSettings, path: Path, classifier: ClassifierRef | None = None
) -> TrainingState:
    """Restores training as it stood when the checkpoint was written.

    Raises:
        SettingsError: the file is no checkpoint, or is one of another configuration or classifier.
    """
    state = started(config, settings)
    stored = stored_settings(path)
    _same(stored, config, settings, path)
    _check_network(stored.classifier, classifier, path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        state.coder.load_state_dict(_under("coder.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        state.optimiser.load_state_dict(state.optimiser.state_dict() | {"state": moments})
        state.silent_for.copy_(tensors["silent_for"])
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error
    state.step = stored.step
    return state


def stored_settings(path: Path) -> Stored:
    """Reads what a checkpoint was written with.

    Raises:
        SettingsError: the file is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return Stored.model_validate_json((file.metadata() or {}).get("state", ""))
    except (OSError, SafetensorError, ValidationError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> SettingsError:
    reason = one_line(str(error).partition("\n")[0])
    return SettingsError(f"{path}: not a checkpoint to go on from: {reason}; begin again without it")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _same(stored: Stored, config: CoderConfig, settings: TrainSettings, path: Path) -> None:
    for then, now in ((stored.config, config), (stored.settings, settings)):
        before, asked = (json.loads(record.model_dump_json()) for record in (then, now))
        for name, value in asked.items():
            if before[name] != value:
                raise SettingsError(
                    f"{path}: was written with {name} {before[name]}, not {value}; give the same, or another folder"
                )


def _check_network(before: ClassifierRef | None, asked: ClassifierRef | None, path: Path) -> None:
    if not same_network(before, asked):
        raise SettingsError(
            f"{path}: was written with {before or 'no classifier'}, not with {asked or 'none'}; "
            "give the same --classifier, or another folder"
        )


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
    classifier: ClassifierRef | None = None,
    progress: Callable[[Report], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> SparseCoder:
    """Trains a coder, or goes on from a checkpoint to the very weights that it would have had without the stop.

    Args:
        config: What to train.
        source: Tokens; read from its first batch on, or from where the checkpoint stands.
        settings: How.
        checkpoint: File to keep the state in; gone on from if it is there. None keeps none.
        classifier: Whose network the tokens are of; a checkpoint of another is refused.
        progress: Told every `report_every` steps and at the end.
        stopping: Asked after each step whether to keep the state and end.

    Returns:
        The coder, not in training mode.

    Raises:
        KeyboardInterrupt: it was to end; it names the option that goes on from the checkpoint.
        SettingsError: the device, the checkpoint or the source cannot be used, or the loss is no longer finite.
    """
    with products_in(used_precision(settings.precision, settings.device)):
        return _trained(
            _begun(config, source, settings, checkpoint, classifier),
            source,
            settings,
            checkpoint=checkpoint,
            classifier=classifier,
            progress=progress,
            stopping=stopping,
        )


def _trained(
    state: TrainingState,
    source: TokenSource,
    settings: TrainSettings,
    *,
    checkpoint: Path | None,
    classifier: ClassifierRef | None,
    progress: Callable[[Report], None],
    stopping: Callable[[], bool],
) -> SparseCoder:
    began, first = time.monotonic(), state.step
    state.coder.train()
    left = islice(source.batches(settings.batch, first), settings.steps - first)
    for batch in on_device(left, settings.device):
        out, losses = learn(state, batch, settings)
        if state.step % settings.report_every == 0 or state.step == settings.steps:
            progress(_report(state, out, losses, settings.steps, time.monotonic() - began, state.step - first))
        ending = stopping()
        if checkpoint is not None and (ending or state.step % settings.checkpoint_every == 0):
            save(state, settings, checkpoint, classifier)
        if ending:
            raise KeyboardInterrupt(*(() if checkpoint is None else ("--resume",)))
    return state.coder.eval()


def _begun(
    config: CoderConfig,
    source: TokenSource,
    settings: TrainSettings,
    checkpoint: Path | None,
    classifier: ClassifierRef | None,
) -> TrainingState:
    if checkpoint is not None and checkpoint.exists():
        return resumed(config, settings, checkpoint, classifier)
    state = started(config, settings)
    fit(state.coder, source, settings)
    return state


def learn(state: TrainingState, batch: TokenBatch, settings: TrainSettings) -> tuple[ForwardOutput, dict[str, Tensor]]:
    """Learns from one batch: forward, backward, and the decoder's rows back to norm 1.

    Returns:
        What the batch was made into, and each term of the loss, [].
    """
    coder, optimiser = state.coder, state.optimiser
    device = torch.device(settings.device)
    for group in optimiser.param_groups:
        group["lr"] = rate(state.step, coder.config, settings)
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


def rate(step: int, form: CoderForm, settings: TrainSettings) -> float:
    """Computes the learning rate of a step, from 0: it rises over `warm_up` steps, and falls over the last share."""
    falling = settings.decay * settings.steps
    rise = (step + 1) / settings.warm_up if settings.warm_up else 1.0
    return settings.rate_of(form) * min(1.0, rise) * min(1.0, (settings.steps - step) / max(1.0, falling))


def _report(
    state: TrainingState, out: ForwardOutput, losses: dict[str, Tensor], steps: int, seconds: float, done: int
) -> Report:
    stated = {name: float(loss.detach()) for name, loss in losses.items()}
    if not math.isfinite(sum(stated.values())):
        raise SettingsError(
            f"step {state.step}: the loss is no longer finite; lower --rate, or look at the activations"
        )
    with torch.no_grad():
        fvu = tuple(float(nested_fvu((made,), of)) for made, of in zip(out.made, out.targets, strict=True))
    dead = len(state.dead()) / state.coder.n_latents
    return Report(state.step, steps, stated, fvu, l0(out), dead, seconds, done)
