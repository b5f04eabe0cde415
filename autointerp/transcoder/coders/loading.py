"""Loads a coder of another tool from a folder or a file; the format is recognised by what the files hold."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from autointerp.errors import SettingsError
from autointerp.transcoder.coders import (
    dictionary_learning,
    matryoshka,
    overcomplete,
    patchsae,
    prisma,
    saelens,
    saev,
    sparsify,
    visaebench,
)
from autointerp.transcoder.coders.files import SETTINGS, WEIGHTS, Fields, Files, WeightFile, read_weights
from autointerp.transcoder.coders.linear import Foreign

Reader = Callable[[WeightFile, Sequence[Fields]], Foreign | None]
READERS: tuple[Reader, ...] = (
    saev.read,
    prisma.read,
    patchsae.read,
    matryoshka.read,
    saelens.read,
    dictionary_learning.read,
    visaebench.read,
    overcomplete.read,
    sparsify.read,
)
"""Each returns None for what is not of its tool. A format is added here; one that knows more surely stands first."""
UNBOUNDED = ("threshold", "encoder_bias", "gate_bias")
"""Weights that may be infinite, which turns a latent off."""


def load_foreign(given: Path) -> Foreign | None:
    """Reads the coder of another tool in a folder or a file; None where no known format is in it.

    Raises:
        SettingsError: a file is broken or refused, or there are several coders.
    """
    files = Files(given)
    refused: SettingsError | None = None
    found: list[tuple[Path, Foreign]] = []
    unknown: WeightFile | None = None
    for path in files.weight_files():
        try:
            held = read_weights(path)
            read = next((one for r in READERS if (one := r(held, files.settings)) is not None), None)
        except SettingsError as error:
            refused = refused or error
            continue
        if read is not None:
            found.append((path, read))
        unknown = unknown or held
    if not found and refused is not None:
        raise refused
    if not found:
        _explain(files, unknown)
    return _the_one(given, found)


def _explain(files: Files, unknown: WeightFile | None) -> None:
    """Says what is missing where weights lie without settings, settings without weights, or all in folders below."""
    names = ", ".join(sorted(f.path.name for f in files.settings))
    if unknown is not None:
        tensors = ", ".join(list(unknown.tensors().values)[:4]) or "no tensors at its top"
        beside = f"the settings beside it ({names}) are of no tool that is known" if names else "no settings beside it"
        raise SettingsError(
            f"{unknown.path}: has {tensors}, and {beside}; copy the config.json or cfg.json that the tool wrote with it"
        )
    if names:
        raise SettingsError(f"{files.folder}: has {names} and no weights; copy these too from where it was written")
    below = sorted(
        {p.parent.name for p in files.folder.glob("*/*") if p.name.endswith(WEIGHTS) or p.suffix in SETTINGS}
    )
    if below:
        more = ", …" if len(below) > 4 else ""
        raise SettingsError(
            f"{files.folder}: holds no coder, but folders that may: {', '.join(below[:4])}{more}; name one"
        )


def _the_one(given: Path, found: list[tuple[Path, Foreign]]) -> Foreign | None:
    """Returns the only coder; one that is there twice, as a whole module and as its state, counts once."""
    if not found:
        return None
    (path, first), *others = found
    if not all(_same(first, other) for _, other in others):
        names = ", ".join(path.name for path, _ in found[:4])
        raise SettingsError(f"{given}: holds {len(found)} coders ({names}); name one of these files")
    _check_numbers(path, first)
    return first


def _check_numbers(path: Path, found: Foreign) -> None:
    """Refuses a coder of a training that diverged: its latents would never fire, which looks like dead ones."""
    for name, tensor in found.coder.state_dict().items():
        bad = tensor.isnan() if name in UNBOUNDED else ~tensor.isfinite()
        if bad.any():
            raise SettingsError(
                f"{path}: {name}: {int(bad.sum()):,} of {tensor.numel():,} weights are not finite numbers; copy it "
                "again, or take an earlier checkpoint"
            )


def _same(one: Foreign, other: Foreign) -> bool:
    mine, theirs = one.coder.state_dict(), other.coder.state_dict()
    return (
        one.coder.config == other.coder.config
        and mine.keys() == theirs.keys()
        and all(torch.equal(mine[name], theirs[name]) for name in mine)
    )
