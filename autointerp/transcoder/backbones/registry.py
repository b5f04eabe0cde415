"""Loads backbones by name."""

import importlib

import torch

from autointerp.errors import SettingsError, one_line
from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.names import RANDOM, parsed, typed_backbone
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.settings import BACKBONES, SOURCES, USUAL, BackboneName


def load_backbone(name: str, *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Loads the backbone of that name.

    Args:
        name: one of `BACKBONES`, as files state it: with `:crop` at the end shown the middle of a picture, as its own
            preprocessing does, else all of it; with `:random`, its architecture with fresh weights.
        seed: of fresh weights; without effect on trained ones.
        device: where it runs, as torch names it.

    Raises:
        SettingsError: the name or the device is not known, a package it needs is missing, or its weights cannot be
            had.
    """
    check_device(device)
    base, crop, random = parsed(name)
    source, colon, model = base.partition(":")
    if base == USUAL:
        from autointerp.transcoder.backbones.dinov2 import dinov2_small

        return dinov2_small(random=random, seed=seed, device=device)
    if colon and model and source in SOURCES:
        module, _, load = SOURCES[source].partition(":")
        home = importlib.import_module(f"autointerp.transcoder.backbones.{module}")
        loaded = getattr(home, load)(model, crop=bool(crop), random=random, seed=seed, device=device)
        assert isinstance(loaded, ModuleBackbone)
        return loaded
    raise SettingsError(f"--backbone {name!r}: there is {BACKBONES}, each also with {RANDOM}")


def backbone_of(given: BackboneName, *, seed: int, device: str, typed: bool = True) -> Backbone:
    """Returns the backbone that somebody named, or a file (`typed` is False), or the one that was given.

    Raises:
        SettingsError: as `load_backbone`, or an object is no backbone.
    """
    if isinstance(given, str):
        return load_backbone(typed_backbone(given) if typed else given, seed=seed, device=device)
    return given_backbone(given)


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
