"""Opens stores of activations: in a folder, or at a URL, from which they are fetched into the cache once."""

import hashlib
from pathlib import Path

from autointerp.counting import Counting
from autointerp.errors import SettingsError
from autointerp.places import cache_folder
from autointerp.populations.files import stamp_from
from autointerp.remote.objects import fetch, reached, remove_all
from autointerp.remote.path import RemotePath, as_path
from autointerp.transcoder.files import read_record
from autointerp.transcoder.store import MANIFEST, ActivationStore, Manifest

FETCHED = "fetched"
"""Folder of the cache for stores that were fetched; they may be removed at any time."""
VERSION = "version.txt"
"""Beside what was fetched: size and time of the manifest there."""


def open_store(where: str | Path, progress: Counting) -> ActivationStore:
    """Opens a store; one at a URL is fetched first, but for the shards that are here.

    Training reads its rows in an order drawn, many times over, for which a URL is too far away.

    Args:
        where: its folder, or its URL.
        progress: is told shards fetched and all shards.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    place = as_path(where)
    return ActivationStore(_fetched(place, progress) if isinstance(place, RemotePath) else place)


def _fetched(place: RemotePath, progress: Counting) -> Path:
    folder = cache_folder() / FETCHED / hashlib.sha256(place.url.encode()).hexdigest()[:16]
    with reached(place):
        try:
            # Written last, so that its time is that of the whole store.
            stamp = stamp_from(place.run(lambda fs: dict(fs.info((place / MANIFEST).url))))
        except FileNotFoundError:
            raise SettingsError(f"{place}: holds no activations, it has no {MANIFEST}") from None
        known = folder / VERSION
        if stamp is None or not known.exists() or known.read_text(encoding="utf-8") != str(stamp):
            remove_all(folder)
            fetch(place / MANIFEST, folder / MANIFEST)
            known.write_text(str(stamp), encoding="utf-8")
    shards = read_record(folder / MANIFEST, Manifest, missing=f"{place}: was removed meanwhile").shards
    for done, shard in enumerate(shards, start=1):
        with reached(place / shard.file):
            if not (folder / shard.file).exists():
                fetch(place / shard.file, folder / shard.file)
        progress.count("shards fetched", done, len(shards))
    return folder
