"""Loads backbones by name."""

import importlib
from typing import cast

import torch

from autointerp.errors import SettingsError, one_line
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.settings import BACKBONES, SOURCES, USUAL, BackboneName

RANDOM = ":random"
"""After a name: the same architecture with fresh weights, as a control."""


def load_backbone(name: str, *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Loads the backbone of that name.

    Args:
        name: one of `BACKBONES`; with `:random` at the end, its architecture with fresh weights.
        seed: of fresh weights; without effect on trained ones.
        device: where it runs, as torch names it.

    Raises:
        SettingsError: the name or the device is not known, a package it needs is missing, or its weights cannot be
            had.
    """
    check_device(device)
    base, random = name.removesuffix(RANDOM), name.endswith(RANDOM)
    source, colon, model = base.partition(":")
    if base == USUAL:
        from autointerp.transcoder.backbones.dinov2 import dinov2_small

        return dinov2_small(random=random, seed=seed, device=device)
    if colon and model and source in SOURCES:
        module, _, load = SOURCES[source].partition(":")
        home = importlib.import_module(f"autointerp.transcoder.backbones.{module}")
        loaded = getattr(home, load)(model, random=random, seed=seed, device=device)
        assert isinstance(loaded, ModuleBackbone)
        return loaded
    raise SettingsError(f"--backbone {name!r}: there is {BACKBONES}, each also with {RANDOM}")


def backbone_of(given: BackboneName, *, seed: int, device: str) -> Backbone:
    """Returns the backbone that was named, or the one that was given.

    Raises:
        SettingsError: as `load_backbone`.
    """
    return load_backbone(given, seed=seed, device=device) if isinstance(given, str) else cast("Backbone", given)


def check_device(device: str) -> None:
    """Tries whether torch can use a device.

    Raises:
        SettingsError: it cannot.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as e:
        said = one_line(str(e).partition("\n")[0])[:200]
        raise SettingsError(f"--device {device}: {said}") from e
