"""Backbones that somebody hands over in Python, checked before and while they are used."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.protocol import Activations, Backbone, Swap, frame_of, grid_of, hookpoint_of

MEMBERS = ("name", "digest", "side", "patch_grid", "hookpoints", "prepare", "run")
"""What an object must have to be a backbone."""


def given_backbone(given: object) -> Backbone:
    """Returns an object as a backbone whose answers are checked.

    Raises:
        SettingsError: it is none.
    """
    if isinstance(given, ModuleBackbone | CheckedBackbone):
        return given
    if isinstance(given, nn.Module):
        raise SettingsError(
            "backbone: is a torch.nn.Module, which says nothing of pictures and hookpoints; "
            "wrap it: autointerp.ModuleBackbone(name, module, prepare, taps={hookpoint: path of a submodule})"
        )
    if lacking := [m for m in MEMBERS if not hasattr(given, m)]:
        raise SettingsError(
            f"backbone: a {type(given).__name__} is no backbone, it has no {', '.join(lacking)}; give a name, "
            "an autointerp.ModuleBackbone, or an object such as docs/bring-your-own.md describes"
        )
    return CheckedBackbone(cast("Backbone", given))


class CheckedBackbone:
    """A backbone that somebody else wrote, whose pictures and activations have the shapes that it states."""

    def __init__(self, given: Backbone) -> None:
        self._given = given
        self.name = given.name
        self.digest = given.digest
        self.side = given.side
        self.patch_grid = given.patch_grid
        self.hookpoints = given.hookpoints
        self.frame = frame_of(given)

    def prepare(self, image: Image.Image) -> Tensor:
        """Prepares an image as the object does.

        Raises:
            SettingsError: it gives something else than the protocol says.
        """
        made, expected = self._given.prepare(image), (3, self.side, self.side)
        if not isinstance(made, Tensor) or tuple(made.shape) != expected or not made.is_floating_point():
            raise self._wrong("prepare gives", made, f"floats of shape {list(expected)}")
        return made

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: Mapping[str, Swap] | None = None) -> Activations:
        """Runs a batch as the object does.

        Raises:
            SettingsError: it gives something else than the protocol says.
        """
        for name in (*hookpoints, *(swap or {})):
            hookpoint_of(self, name)
        with torch.no_grad():
            taken = self._given.run(batch, hookpoints, swap)
        for name in hookpoints:
            place = hookpoint_of(self, name)
            rows, columns = grid_of(self, name)
            expected = (len(batch), *((rows * columns,) if place.kind == "patches" else ()), place.width)
            made = taken.get(name)
            if not isinstance(made, Tensor) or tuple(made.shape) != expected:
                raise self._wrong(f"run gives at {name!r}", made, f"a tensor of shape {list(expected)}")
        return {name: taken[name].detach().float() for name in hookpoints}

    def _wrong(self, what: str, made: object, expected: str) -> SettingsError:
        is_tensor = isinstance(made, Tensor)
        said = (
            f"{str(made.dtype).removeprefix('torch.')} of shape {list(made.shape)}"
            if is_tensor
            else type(made).__name__
        )
        return SettingsError(f"backbone {self.name}: {what} {said}, and the protocol says {expected}")
