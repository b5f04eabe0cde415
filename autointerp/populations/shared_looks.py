"""Images that several processes look at in shares: each leaves what it has seen in a file that the others take in."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Unpack

from autointerp.errors import SettingsError
from autointerp.images.manifest import FILE, Layered, Manifest
from autointerp.populations.images import read_population
from autointerp.populations.labels import LabelOptions
from autointerp.populations.opening import Source
from autointerp.remote.objects import fetch, put, reached
from autointerp.remote.path import AnyPath


def place_of(folder: AnyPath, share: int, of: int) -> AnyPath:
    """Returns the file of one share below a folder."""
    return folder / f"looks-{share}-of-{of}.db"


def look_at_share(
    source: Source,
    folder: AnyPath,
    share: int,
    of: int,
    manifest: Manifest,
    progress: Callable[[int, int], None],
    **of_labels: Unpack[LabelOptions],
) -> None:
    """Looks at one share of a population's images, and leaves what was seen below a folder.

    Args:
        source: as for `open_population`.
        folder: for all shares.
        share: which of them, from 0.
        of: how many there are.
        manifest: of this machine.
        progress: is told images read and all images of the share.
        of_labels: as for `open_population`.

    Raises:
        SettingsError: the folder cannot be written.
    """
    place = place_of(folder, share, of)
    with reached(folder):
        if place.exists():
            return
    draw = lambda n: range(n * share // of, n * (share + 1) // of)  # noqa: E731 - as short as it is
    try:
        seen = read_population(source, draw=draw, manifest=manifest, progress=progress, **of_labels).images
    except SettingsError:
        # A share without an image that can be read is no fault; who reads the whole tells any other.
        seen = ()
    with tempfile.TemporaryDirectory(prefix="autointerp-") as own:
        manifest.hand_on([image.content for image in seen], Manifest(Path(own)))
        if (Path(own) / FILE).exists():
            with reached(place):
                put(Path(own) / FILE, place)


@contextmanager
def shared_looks(folder: AnyPath, of: int, manifest: Manifest) -> Iterator[Manifest]:
    """Gives a manifest that knows all that the shares have seen; an image that it does not know is looked at again.

    Args:
        folder: of the shares.
        of: how many there are.
        manifest: of this machine.

    Raises:
        SettingsError: the folder cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="autointerp-") as own:
        _take_in([place_of(folder, i, of) for i in range(of)], Path(own))
        yield Layered(manifest, Manifest(Path(own)))


def _take_in(places: Sequence[AnyPath], own: Path) -> None:
    for place in places:
        with reached(place), suppress(FileNotFoundError):
            fetch(place, own / "share.db")
            Manifest(own).take_in(own / "share.db")
