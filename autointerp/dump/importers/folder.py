"""Imports a folder of images sorted by feature, as many projects publish their top activations."""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.counting import Counting, Uncounted, counted
from autointerp.dump.format import DumpInfo
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.listing import CSV_FILE, METADATA_FILE, Listing, is_junk, read_listing
from autointerp.dump.importers.mt_metadata import is_mt
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError, SettingsError
from autointerp.images.formats import SUFFIXES, UNREADABLE, LeftOut, left_out, why_no_image
from autointerp.images.manifest import Manifest, Seen, seen_files
from autointerp.images.near_duplicates import near_duplicates, shared_names
from autointerp.places import cache_folder
from autointerp.schema import Exemplar, FeatureRow
from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.commands.import_folder import ImportFolder

_FOLDER = re.compile(r"(?:(?:feature|latent|unit|neuron)[_-]?)?(\d{1,9})")
JUNK_FOLDERS = "folders that an operating system left"


COPIES = "files that are copies of others, of which one is kept"
STRAY = "images outside the folders of features"
"""What is left out, beside images that cannot be read and files that are no images."""


@dataclass(frozen=True, slots=True)
class _Found:
    """All that the source folder holds, its images without their bytes."""

    files: dict[str, Path]
    """One file for each SHA-256, in the order of image ids."""
    images: dict[str, Seen]
    """What was seen of each."""
    groups: dict[str, str | None]
    """The name of its group of near-duplicates likewise; None for an image that stands alone."""
    features: dict[int, tuple[Exemplar, ...]]
    """Ascending."""
    n_ranked: int
    """Features of which only the order of images is known."""
    left_out: tuple[LeftOut, ...]


def run(settings: "ImportFolder", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from the images in `SRC/<feature>/`, the folders being named `12` or `feature_12`.

    A folder may hold `activations.csv` (columns image or file, activation, and optionally stratum and probability,
    with a header) or `metadata.txt` (lines `rank. value - name`); else the order of the file names is the rank, which
    `created_by` of the dump then says. A file that lies under several features becomes one image; twice under one
    feature, its highest activation counts. `n_active` counts those listed. Each image is decoded: what is no image, or
    cannot be read, is left out and counted, also where a line names it. Near-duplicates share a group. What a feature
    reached on silent images is left unknown.

    Silent exemplars are drawn for each feature among the images that are not listed under it, each with probability
    k / candidates. This assumes that a feature is silent on whatever is not listed under it, which does not hold where
    the folders hold only the strongest of many images that fire it and other features share them; scores are then too
    low.

    Raises:
        DumpError: the source or a line in it cannot be read, no image can, or the dump exists.
        SettingsError: the population is smaller than the folder.
    """
    source, population = settings.src, settings.population
    telling = counted(progress or Uncounted(), "files read")
    found = _collect(source, allow_outside=settings.allow_outside, progress=telling)
    if population is not None and population < len(found.files):
        raise SettingsError(f"--population {population}: {source} alone holds {len(found.files):,} different images")
    info = _info(settings, found)
    with DumpWriter(settings.dump, info) as writer:
        for image, (digest, file) in enumerate(found.files.items()):
            _add_image(writer, image, file, digest, found, copy=not settings.link)
        for feature, listed in found.features.items():
            rng = np.random.default_rng([settings.seed, feature])
            silent = _draw_silent(listed, len(found.files), settings.silent_from_others, rng)
            active = [e.activation for e in listed if not e.silent]
            row = FeatureRow(feature, info.n_latents, len(active), max(active, default=0.0), None, None)
            writer.add_feature(row, (*listed, *silent))
    return Imported(**info.model_dump(), left_out=found.left_out, outside=settings.link)


def _info(settings: "ImportFolder", found: _Found) -> DumpInfo:
    population, size = settings.population, _dictionary_size(settings.src, found, settings.n_latents)
    return DumpInfo(
        name=settings.name or settings.src.resolve().name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        created_by="; ".join((f"autointerp {__version__}, import folder", *_remarks(found))),
        model=settings.model,
        hookpoint=settings.hookpoint,
        n_latents=size,
        widths=(size,),
        n_images=len(found.files) if population is None else population,
        active_above=0.0,
        population="unknown" if population is None else "complete",
    )


def _remarks(found: _Found) -> Iterable[str]:
    """What whoever opens the dump should know."""
    if found.n_ranked:
        yield f"of {found.n_ranked} features the activations are ranks"
    yield from (f"left out: {UNREADABLE}: {one.count:,}" for one in found.left_out if one.why == UNREADABLE)


def _dictionary_size(source: Path, found: _Found, n_latents: int | None) -> int:
    largest = max(found.features)
    if n_latents is None:
        return largest + 1
    if largest >= n_latents:
        raise DumpError(f"{source}: there is a feature {largest}; expected less than n_latents, {n_latents}")
    return n_latents


def _collect(source: Path, *, allow_outside: bool, progress: Callable[[int, int], None]) -> _Found:
    listings = _listings(source, allow_outside=allow_outside)
    listed = {entry.file: entry.file.resolve() for listing in listings.values() for entry in listing.images}
    first: dict[Path, Path] = {}
    for file, real in listed.items():
        first.setdefault(real, file)
    seen: dict[Path, Seen | str] = {}
    for real, said in zip(first, seen_files(first.values(), Manifest(cache_folder())), strict=True):
        seen[real] = said
        progress(len(seen), len(first))
    images = {file: image for file, real in listed.items() if isinstance(image := seen[real], Seen)}
    ids: dict[str, int] = {}
    features = {feature: _exemplars(listing, images, ids) for feature, listing in listings.items()}
    files: dict[str, Path] = {}
    for file, image in images.items():
        files.setdefault(image.digest, file)
    others = [other for listing in listings.values() for other in listing.others]
    others += [(JUNK_FOLDERS, f) for f in sorted(source.iterdir()) if f.is_dir() and is_junk(f)]
    broken = [(UNREADABLE, said) for said in seen.values() if isinstance(said, str)]
    copies = [(COPIES, f) for f in first.values() if f in images and files[images[f].digest] != f]
    stray = [(STRAY, f) for f in sorted(source.iterdir()) if f.is_file() and why_no_image(f) is None]
    gone = left_out([*broken, *copies, *others, *stray])
    if not ids:
        why = f"; left out: {gone[0]}" if gone else ""
        raise DumpError(f"{source}: its folders hold no image that can be read{why}")
    n_ranked = sum(bool(listing.images) and not listing.known for listing in listings.values())
    kept = {image.digest: image for image in images.values()}
    names = shared_names(near_duplicates([kept[digest].look for digest in ids]), "look")
    groups = dict(zip(ids, names, strict=True))
    return _Found({digest: files[digest] for digest in ids}, kept, groups, features, n_ranked, gone)


def _listings(source: Path, *, allow_outside: bool) -> dict[int, Listing]:
    """What each feature's folder says."""
    listings: dict[int, Listing] = {}
    root = source.resolve()
    for feature, folder in _feature_folders(source):
        if not allow_outside:
            for path in (folder, folder / CSV_FILE, folder / METADATA_FILE):
                _refuse_outside(root, path)
        listings[feature] = read_listing(folder)
        if not allow_outside:
            for entry in listings[feature].images:
                _refuse_outside(root, entry.file)
    return listings


def _exemplars(listing: Listing, images: dict[Path, Seen], ids: dict[str, int]) -> tuple[Exemplar, ...]:
    """The evidence of one feature; gives its images numbers in `ids` where they have none."""
    best: dict[int, Exemplar] = {}
    for entry in listing.images:
        if entry.file not in images:
            continue
        image = ids.setdefault(images[entry.file].digest, len(ids))
        exemplar = Exemplar(image, entry.activation, entry.stratum, entry.probability, None, None)
        if image not in best or best[image].activation < entry.activation:
            best[image] = exemplar
    return tuple(sorted(best.values(), key=lambda e: (e.silent, -e.activation, e.image)))


def _feature_folders(source: Path) -> list[tuple[int, Path]]:
    try:
        below = sorted(f for f in source.iterdir() if f.is_dir() and not is_junk(f))
    except (FileNotFoundError, NotADirectoryError):
        why = "there is no such folder; give the one that holds a folder for each feature"
        raise DumpError(f"{source}: {why}") from None
    except OSError as error:
        raise DumpError(f"{source}: cannot be listed: {error.strerror}") from error
    folders: dict[int, Path] = {}
    for folder in below:
        match = _FOLDER.fullmatch(folder.name)
        if match is None:
            raise DumpError(f"{folder}: not a feature; expected a folder name such as 12 or feature_12")
        if is_mt(folder):
            told = "is as Matryoshka-Transcoders' populate.py writes it; use `autointerp import mt` instead"
            raise DumpError(f"{source}: {told}")
        other = folders.setdefault(int(match[1]), folder)
        if other != folder:
            raise DumpError(f"{folder}: is the same feature as {other.name}; merge the two folders")
    if not folders:
        raise DumpError(f"{source}: holds no folders; expected one for each feature, named 12 or feature_12")
    return sorted(folders.items())


def _refuse_outside(root: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(root):
        raise DumpError(
            f"{path}: is a link that leads out of {root.name}; if you trust it, allow it with --allow-outside"
        )


def _add_image(writer: DumpWriter, image: int, file: Path, digest: str, found: _Found, *, copy: bool) -> None:
    path = file.resolve()
    if copy:
        suffix = file.suffix.lower()
        path = Path("images", digest[:2], f"{digest}{suffix if suffix in SUFFIXES else ''}")
        target = writer.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    writer.add_image(image, path=path, size=found.images[digest].size, sha256=digest, group=found.groups[digest])


def _draw_silent(listed: tuple[Exemplar, ...], n_images: int, wanted: int, rng: np.random.Generator) -> list[Exemplar]:
    candidates = np.setdiff1d(np.arange(n_images), [e.image for e in listed])
    n_drawn = min(wanted, len(candidates))
    if n_drawn == 0:
        return []
    images = np.sort(rng.choice(candidates, size=n_drawn, replace=False))
    return [Exemplar(int(i), 0.0, "silent", n_drawn / len(candidates), None, None) for i in images]
