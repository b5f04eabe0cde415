"""Imports vision-interp's strongest images: `metadata.json` and, of each latent, `latent_N.pt`.

That holds `top_ids`, rows of the data set in its order, `top_values`, the mean (or maximum) over patches, and
`heatmaps`, the activations of all patches. In its partition mode all three are lists of lists: so many images are
drawn at random from each of several equal parts of all images that fire, the strongest part first.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.counting import Counting
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.rows import Floats, Ints, Origin, Top, ends_of, positive, rows_of, write_tops
from autointerp.dump.importers.sources import one_of
from autointerp.dump.importers.tensors import Stored, read_json
from autointerp.dump.importers.torch_arrays import entries_of, plain_array, read_torch
from autointerp.errors import DumpError, one_line
from autointerp.schema import BAND_STRATA

if TYPE_CHECKING:
    from autointerp.commands.import_vision_interp import ImportVisionInterp

WHAT = "the data set that vision-interp ran, in its order"
METADATA = "metadata.json"
AT_ONCE = 64
"""Images of a round of its script, which leaves out those that do not fill a last one."""
_LATENT = re.compile(r"latent_(\d{1,9})\.pt")
_FOLDER = re.compile(r".+_(?P<how>mean|max)_[^_]+_(?P<k>\d{1,6})_(?P<n>\d{1,9})(?P<parts>_partition\d+)?")
_TRAINED = re.compile(r".*_layer_.*?_(?P<width>\d{2,9})_[^_]+")


@dataclass(frozen=True, slots=True)
class _Latent:
    rows: Ints
    activations: Floats
    heats: Sequence[Stored | None]
    parts: tuple[int, ...]
    """How many images each part has, in partition mode; else empty."""


def run(settings: "ImportVisionInterp", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from one folder of latents.

    Raises:
        DumpError: a file is not vision-interp's, or contradicts --images.
        SettingsError: --images is not given, or there are several folders.
    """
    found = sorted(f.parent for f in settings.src.rglob(METADATA)) if settings.src.is_dir() else []
    found = [folder for folder in found if any(_files(folder))]
    what = f"a folder with {METADATA} and latent_N.pt"
    folder = one_of(settings.src, found, settings.layer, what, names=lambda f: (f.name, str(f)))
    files = dict(sorted(_files(folder)))
    about = read_json(folder / METADATA)
    listing = rows_of(settings, WHAT)
    n_images, survey = len(listing.entries), _Survey()
    for latent, file in files.items():
        survey.see(_read(file, latent, n_images))
    n_run = _n_run(about, folder, n_images, survey.largest)
    k = _k(folder, survey.longest)

    def tops() -> Iterator[Top]:
        for latent, file in files.items():
            yield _top(latent, _read(file, latent, n_images), k, survey.grid)

    origin = Origin(
        kind="vision-interp",
        name=folder.resolve().name,
        n_latents=max(_width(folder), max(files) + 1),
        k=k * max(1, survey.n_parts),
        counted=False,
        drawn=survey.n_parts > 0,
        model=one_line(str(about.get("model_name", "unknown"))),
        hookpoint=one_line(str(about.get("submodule_name", "unknown"))),
        grid=survey.grid,
        n_run=n_run,
        left_out=listing.others,
        said=tuple(_said(folder, survey, (n_run, n_images), ends_of(listing))),
    )
    return write_tops(settings, origin, listing.entries, tops, progress=progress)


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    for file in folder.iterdir():
        if match := _LATENT.fullmatch(file.name):
            yield int(match[1]), file


def _said(folder: Path, survey: "_Survey", run_of: tuple[int, int], ends: str) -> Iterator[str]:
    match = _FOLDER.fullmatch(folder.resolve().name)
    how = match["how"] if match else "mean (unless it was told otherwise)"
    yield f"activations are the {how} over the patches of an image"
    if survey.n_parts:
        yield (
            f"images were drawn from {survey.n_parts} equal parts of those that fire a latent, bands here; where "
            "a part has more than were drawn, nobody knows how many"
        )
    if run_of[0] < run_of[1]:
        yield f"of the {run_of[1]:,} images the first {run_of[0]:,} were run"
    yield ends


@dataclass(slots=True)
class _Survey:
    """What all latents have in common."""

    longest: int = 0
    """Images that a latent, or a part of one, lists at most."""
    largest: int = -1
    """The largest row."""
    n_parts: int = 0
    grid: tuple[int, int] | None = None

    def see(self, one: _Latent) -> None:
        self.longest = max(self.longest, *(one.parts or (len(one.rows),)))
        self.largest = max(self.largest, int(one.rows.max(initial=-1)))
        self.n_parts = max(self.n_parts, len(one.parts))
        for heat in one.heats:
            if heat is None:
                continue
            shape = heat.check(None, None).shape
            if self.grid not in (None, shape):
                raise DumpError(
                    f"{heat.where}: has sizes {list(shape)}, others {list(self.grid or ())}; expected one grid"
                )
            self.grid = (shape[0], shape[1])


def _read(file: Path, latent: int, n_images: int) -> _Latent:
    found = entries_of(read_torch(file), str(file))
    ids, values = _listed(found, "top_ids", file), _listed(found, "top_values", file)
    heats = found.get("heatmaps")
    parts: tuple[int, ...] = ()
    if ids and all(isinstance(part, list) for part in ids):
        parts = tuple(len(part) for part in ids if isinstance(part, list))
        ids, values = _flat(ids, file), _flat(values, file)
        heats = _flat(heats, file) if isinstance(heats, list) else None
    if len(ids) != len(values) or (isinstance(heats, list) and len(heats) not in (0, len(ids))):
        raise DumpError(f"{file}: top_ids, top_values and heatmaps are not of one length; run the tool again")
    where = f"{file}: latent {latent}"
    numbers = plain_array(ids, where).ints()
    rows, activations = positive(where, numbers, plain_array(values, where).floats(), n_images)
    at = {row: i for i, row in enumerate(numbers.tolist())}
    given = [heats[at[row]] for row in rows.tolist()] if isinstance(heats, list) and heats else []
    ordered = [None if one is None else plain_array(one, f"{file}: heatmaps") for one in given]
    return _Latent(rows, activations, ordered, parts)


def _listed(found: Mapping[str, object], name: str, file: Path) -> list[object]:
    value = found.get(name)
    if isinstance(value, list):
        return value
    if value is None:
        raise DumpError(f"{file}: holds no {name}; expected what vision-interp's save_latent_data writes")
    stored = plain_array(value, f"{file}: {name}").check(None)
    return stored.floats().tolist() if stored.bf16 else stored.raw.tolist()


def _flat(parts: Sequence[object], file: Path) -> list[object]:
    """All items of a list of lists; what a file's bytes cannot hold, since it names one list many times, is refused."""
    n = sum(len(part) if isinstance(part, list) else 1 for part in parts)
    if n > file.stat().st_size:
        raise DumpError(f"{file}: unpacks to {n:,} entries, more than its bytes hold; it is not vision-interp's")
    return [one for part in parts for one in (part if isinstance(part, list) else [part])]


def _top(latent: int, one: _Latent, k: int, grid: tuple[int, int] | None) -> Top:
    complete = all(n < k for n in one.parts) if one.parts else len(one.rows) < k
    heats = [_heat(heat, grid) for heat in one.heats]
    return Top(latent, one.rows, one.activations, len(one.rows), complete, heats, _bands(one))


def _bands(one: _Latent) -> list[str]:
    """The stratum of each image in partition mode: parts are disjoint and the strongest comes first."""
    if not one.parts:
        return []
    n = len(one.parts)
    # More parts than there are bands share some.
    of_part = [BAND_STRATA[(n - 1 - i) * min(n, len(BAND_STRATA)) // n] for i in range(n)]
    return [stratum for stratum, size in zip(of_part, one.parts, strict=True) for _ in range(size)][: len(one.rows)]


def _heat(heat: Stored | None, grid: tuple[int, int] | None) -> bytes | None:
    if heat is None or grid is None:
        return None
    values = heat.floats()
    peak = float(values.max())
    if not np.isfinite(values).all():
        raise DumpError(f"{heat.where}: holds a number that is not finite; run the tool again, in float32")
    if peak <= 0:
        return None
    return np.round(np.clip(values / peak, 0, 1) * 255).astype(np.uint8).tobytes()


def _k(folder: Path, longest: int) -> int:
    """How many images were asked for: the folder's name says it, else the longest list."""
    match = _FOLDER.fullmatch(folder.resolve().name)
    return max(int(match["k"]) if match else 1, longest)


def _n_run(about: Mapping[str, object], folder: Path, n_images: int, largest: int) -> int:
    """How many of the images were run, from the first."""
    stated = about.get("n_images", n_images)
    if type(stated) is not int or stated < 1:
        raise DumpError(f"{folder / METADATA}: n_images is {stated!r}; expected how many were run")
    if stated > n_images:
        raise DumpError(
            f"{folder / METADATA}: {stated:,} images were run, and --images holds {n_images:,}; give the data set that "
            "was run, all of it"
        )
    whole = stated // AT_ONCE * AT_ONCE
    return whole if largest < whole else stated


def _width(folder: Path) -> int:
    """The size of the dictionary, which a folder above has in its name; 0 where none has."""
    for above in folder.resolve().parents[:2]:
        if match := _TRAINED.fullmatch(above.name):
            return int(match["width"])
    return 0
