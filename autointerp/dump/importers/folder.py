"""Imports a folder of images sorted by feature, as many projects publish their top activations."""

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from autointerp.dump.format import DumpInfo
from autointerp.dump.importers.listing import CSV_FILE, METADATA_FILE, read_listing
from autointerp.dump.writer import DumpWriter, digest_of
from autointerp.errors import DumpError, ImageError, SettingsError
from autointerp.images.decode import displayed_size
from autointerp.schema import Exemplar, FeatureRow
from autointerp.version import __version__

_FOLDER = re.compile(r"(?:feature_)?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class _Found:
    """All that the source folder holds, its images without their bytes."""

    files: dict[str, Path]
    """One file for each SHA-256, in the order of image ids."""
    features: dict[int, tuple[Exemplar, ...]]
    """Ascending."""
    n_ranked: int
    """Features of which only the order of images is known."""


def import_folder(
    src: str | Path,
    dump: str | Path,
    *,
    name: str | None = None,
    model: str = "unknown",
    hookpoint: str = "unknown",
    n_latents: int | None = None,
    population: int | None = None,
    copy: bool = True,
    silent_from_others: int = 0,
    seed: int = 0,
    allow_outside: bool = False,
) -> DumpInfo:
    """Writes a dump from `SRC/<feature>/*.png` (or jpg, jpeg, webp), the folders being named `12` or `feature_12`.

    A folder may hold `activations.csv` (columns image or file, activation, and optionally stratum and probability,
    with a header) or `metadata.txt` (lines `rank. value - name`); else the order of the file names is the rank, which
    `created_by` of the dump then says. A file that lies under several features becomes one image; twice under one
    feature, its highest activation counts. `n_active` counts those listed.

    Args:
        src: The folder to read.
        dump: The dump to write; must not exist yet.
        name: Of the dump; the name of `src` when None.
        model: Of which the features are.
        hookpoint: Where in the model they live.
        n_latents: Size of the dictionary; one more than the largest feature when None.
        population: Images that were run, where those listed under a feature are all that fire it. None where that is
            not known: the dump then has no densities, and its population scores speak of the images there are.
        copy: Whether the dump holds the image files. If not, it has their absolute paths, and is opened with
            `allow_outside`.
        silent_from_others: Silent exemplars to draw for each feature among the images that are not listed under it,
            each with probability k / candidates. This assumes that a feature is silent on whatever is not listed under
            it, which does not hold where the folders hold only the strongest of many images that fire it and other
            features share them; scores are then too low.
        seed: Of that draw.
        allow_outside: Whether a link may lead out of `src`.

    Raises:
        DumpError: the source or a line in it cannot be read, an image cannot be decoded, or the dump exists.
        SettingsError: the population is smaller than the folder.
    """
    source = Path(src)
    found = _collect(source, allow_outside=allow_outside)
    if population is not None and population < len(found.files):
        raise SettingsError(f"--population {population}: {source} alone holds {len(found.files):,} different images")
    size = _dictionary_size(source, found, n_latents)
    ranked = f"; of {found.n_ranked} features the activations are ranks" if found.n_ranked else ""
    info = DumpInfo(
        name=name or source.resolve().name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        created_by=f"autointerp {__version__}, import folder{ranked}",
        model=model,
        hookpoint=hookpoint,
        n_latents=size,
        widths=(size,),
        n_images=len(found.files) if population is None else population,
        active_above=0.0,
        population="unknown" if population is None else "complete",
    )
    with DumpWriter(dump, info) as writer:
        for image, (digest, file) in enumerate(found.files.items()):
            _add_image(writer, image, file, digest, copy=copy)
        for feature, listed in found.features.items():
            rng = np.random.default_rng([seed, feature])
            _add_feature(writer, feature, listed, _draw_silent(listed, len(found.files), silent_from_others, rng))
    return info


def _dictionary_size(source: Path, found: _Found, n_latents: int | None) -> int:
    largest = max(found.features)
    if n_latents is None:
        return largest + 1
    if largest >= n_latents:
        raise DumpError(f"{source}: there is a feature {largest}; expected less than n_latents, {n_latents}")
    return n_latents


def _collect(source: Path, *, allow_outside: bool) -> _Found:
    files: dict[str, Path] = {}
    ids: dict[str, int] = {}
    digests: dict[Path, str] = {}
    features: dict[int, tuple[Exemplar, ...]] = {}
    n_ranked = 0
    root = source.resolve()
    for feature, folder in _feature_folders(source):
        if not allow_outside:
            for path in (folder, folder / CSV_FILE, folder / METADATA_FILE):
                _refuse_outside(root, path)
        listed, known = read_listing(folder)
        n_ranked += bool(listed) and not known
        best: dict[int, Exemplar] = {}
        for entry in listed:
            if not allow_outside:
                _refuse_outside(root, entry.file)
            real = entry.file.resolve()
            if real not in digests:
                digests[real] = _digest(entry.file)
            digest = digests[real]
            image = ids.setdefault(digest, len(ids))
            files.setdefault(digest, entry.file)
            exemplar = Exemplar(image, entry.activation, entry.stratum, entry.probability, None, None)
            if image not in best or best[image].activation < entry.activation:
                best[image] = exemplar
        features[feature] = tuple(sorted(best.values(), key=lambda e: (e.silent, -e.activation, e.image)))
    return _Found(files, features, n_ranked)


def _feature_folders(source: Path) -> list[tuple[int, Path]]:
    if not source.is_dir():
        raise DumpError(f"{source}: there is no such folder; give the one that holds a folder for each feature")
    folders: dict[int, Path] = {}
    for folder in sorted(f for f in source.iterdir() if f.is_dir() and not f.name.startswith(".")):
        match = _FOLDER.fullmatch(folder.name)
        if match is None:
            raise DumpError(f"{folder}: not a feature; expected a folder name such as 12 or feature_12")
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


def _digest(file: Path) -> str:
    try:
        return digest_of(file)
    except OSError as error:
        raise DumpError(f"{file}: cannot be read: {error.strerror}") from error


def _add_image(writer: DumpWriter, image: int, file: Path, digest: str, *, copy: bool) -> None:
    try:
        size = displayed_size(file)
    except ImageError as error:
        raise DumpError(str(error)) from error
    path = file.resolve()
    if copy:
        path = Path("images", digest[:2], f"{digest}{file.suffix.lower()}")
        target = writer.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    writer.add_image(image, path=path, size=size, sha256=digest)


def _add_feature(writer: DumpWriter, feature: int, listed: tuple[Exemplar, ...], drawn: list[Exemplar]) -> None:
    active = [e.activation for e in listed if not e.silent]
    row = FeatureRow(feature, writer.info.n_latents, len(active), max(active, default=0.0), None, None)
    writer.add_feature(row, (*listed, *drawn))


def _draw_silent(listed: tuple[Exemplar, ...], n_images: int, wanted: int, rng: np.random.Generator) -> list[Exemplar]:
    candidates = np.setdiff1d(np.arange(n_images), [e.image for e in listed])
    n_drawn = min(wanted, len(candidates))
    if n_drawn == 0:
        return []
    images = np.sort(rng.choice(candidates, size=n_drawn, replace=False))
    return [Exemplar(int(i), 0.0, "silent", n_drawn / len(candidates), None, None) for i in images]
