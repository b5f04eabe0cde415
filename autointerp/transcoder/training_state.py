"""All that training needs to go on as if it had not stopped, in one file that is replaced as a whole."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.record import Record
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.config import CoderConfig, TrainSettings
from autointerp.transcoder.files import written

FORMAT = "autointerp-checkpoint/1"


class _Stored(Record):
    """The part of a checkpoint that is not tensors: JSON in the header of its file."""

    format: str
    step: int
    config: CoderConfig
    settings: TrainSettings


@dataclass
class TrainingState:
    """A coder on its way. Nothing is drawn at random after the first weights, so there is no generator to keep."""

    coder: SparseCoder
    optimiser: torch.optim.AdamW
    silent_for: Tensor
    """[n_latents], int64: tokens since each latent was last on."""
    step: int
    """Batches learned from."""

    def dead(self) -> Tensor:
        """Returns [n_dead], int64: latents that were silent for `dead_after` tokens."""
        return (self.silent_for >= self.coder.config.dead_after).nonzero().squeeze(1)


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
    optimiser = torch.optim.AdamW(coder.parameters(), lr=settings.rate, weight_decay=settings.weight_decay, fused=True)
    silent_for = torch.zeros(config.n_latents, dtype=torch.int64, device=settings.device)
    return TrainingState(coder, optimiser, silent_for, 0)


def save(state: TrainingState, settings: TrainSettings, path: Path) -> None:
    """Writes a checkpoint beside `path`, then gives it that name.

    Raises:
        SettingsError: it cannot be written.
    """
    tensors = {f"coder.{name}": tensor for name, tensor in state.coder.state_dict().items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in moments.items()}
    tensors["silent_for"] = state.silent_for
    stored = _Stored(format=FORMAT, step=state.step, config=state.coder.config, settings=settings)
    with written(path) as unfinished:
        save_file(tensors, unfinished, metadata={"state": stored.model_dump_json()})


def resumed(config: CoderConfig, settings: TrainSettings, path: Path) -> TrainingState:
    """Restores training as it stood when the checkpoint was written.

    Raises:
        SettingsError: the file is no checkpoint, or is one of another configuration.
    """
    state = started(config, settings)
    try:
        with safe_open(path, framework="pt") as file:
            stored = _Stored.model_validate_json((file.metadata() or {}).get("state", ""))
            _same(stored, config, settings, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        state.coder.load_state_dict(_under("coder.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser.", tensors).items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        state.optimiser.load_state_dict(state.optimiser.state_dict() | {"state": moments})
        state.silent_for.copy_(tensors["silent_for"])
    except (OSError, SafetensorError, ValidationError, KeyError, RuntimeError, ValueError) as error:
        reason = one_line(str(error).partition("\n")[0])
        raise SettingsError(f"{path}: not a checkpoint to go on from: {reason}; begin again without it") from error
    state.step = stored.step
    return state


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _same(stored: _Stored, config: CoderConfig, settings: TrainSettings, path: Path) -> None:
    for then, now in ((stored.config, config), (stored.settings, settings)):
        before, asked = (json.loads(record.model_dump_json()) for record in (then, now))
        for name, value in asked.items():
            if before[name] != value:
                raise SettingsError(
                    f"{path}: was written with {name} {before[name]}, not {value}; give the same, or another folder"
                )
