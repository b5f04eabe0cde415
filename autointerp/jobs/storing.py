"""What storing activations needs whoever does it: what they are of, whether the folder is free, the list of images."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autointerp.errors import SettingsError
from autointerp.images.formats import LeftOut
from autointerp.populations.images import Population
from autointerp.remote.objects import names_in, reached, remove, size_of
from autointerp.remote.path import AnyPath
from autointerp.transcoder.backbones.headed import Network
from autointerp.transcoder.backbones.protocol import check_tokens, hookpoint_of
from autointerp.transcoder.settings import StoreSettings
from autointerp.transcoder.store import MANIFEST, Activations, Manifest, shard_file

IMAGES_FILE = "images.csv"
COLUMNS = ("image", "path", "sha256", "group")


class Stored(NamedTuple):
    """Describes a store that was written."""

    folder: AnyPath
    about: Activations
    n_images: int
    n_groups: int
    """Of near-duplicates, and of whatever the labels put together; a single image is one too."""
    n_tokens: int
    n_bytes: int
    """Of the folder's shards."""
    broken: tuple[str, ...]
    """One line for each file that cannot be read and is left out."""
    left_out: tuple[LeftOut, ...]
    """All files that are left out, by kind."""


def stored(place: AnyPath, manifest: Manifest, population: Population) -> Stored:
    """Describes the store of a population. Raises SettingsError where it cannot be read."""
    with reached(place):
        n_bytes = sum(size_of(place / shard.file) for shard in manifest.shards)
    return Stored(
        folder=place,
        about=manifest.about,
        n_images=len(population.images),
        n_groups=len(np.unique(population.groups)),
        n_tokens=manifest.tokens,
        n_bytes=n_bytes,
        broken=population.broken,
        left_out=population.left_out,
    )


def activations_of(network: Network, settings: StoreSettings) -> Activations:
    """Returns what the tokens of a store are of.

    Raises:
        SettingsError: there is no such hookpoint, both are the same, or they have not as many tokens.
    """
    model = network.model
    reads = hookpoint_of(model, settings.reads)
    writes = None if settings.writes is None else hookpoint_of(model, settings.writes)
    if settings.writes is not None:
        check_tokens(model, settings.reads, settings.writes)
    if writes is not None and settings.writes == settings.reads:
        raise SettingsError(
            f"--writes {settings.writes!r}: is what --reads names too; give --writes none to store it once"
        )
    return Activations(
        backbone=model.name,
        reads=settings.reads,
        writes=settings.writes,
        d_in=reads.width,
        d_out=None if writes is None else writes.width,
        dtype=settings.dtype,
        classifier=network.classifier,
    )


def check_free(place: AnyPath) -> None:
    """Stops unless the folder is new, or holds only what a stopped pass left.

    Raises:
        SettingsError: it does not, or cannot be read.
    """
    with reached(place):
        names = names_in(place)
    if MANIFEST in names:
        raise SettingsError(f"{place}: holds activations already; give another folder")
    known = {IMAGES_FILE, f".{MANIFEST}"}
    if strange := next((name for name in names if name not in known and not _is_shard(name)), None):
        raise SettingsError(f"{place}: holds {strange}, which is no store's; give another folder")


def clear(place: AnyPath) -> None:
    """Removes what a stopped pass left, so that no shard of it stays beside the new ones.

    Raises:
        SettingsError: it cannot be removed.
    """
    with reached(place):
        for name in names_in(place):
            if _is_shard(name):
                remove(place / name)


def _is_shard(name: str) -> bool:
    """Whether a file is a shard, or one that a kill left unfinished."""
    first, _, last = shard_file(0).partition("00000")
    return name.removeprefix(".").startswith(first) and name.endswith(last)


def image_rows(population: Population) -> Iterator[tuple[object, ...]]:
    """One row an image, by the ids that the store's tokens name."""
    for image, group in zip(population.images, population.groups.tolist(), strict=True):
        yield image.image, image.name, image.sha256, group
