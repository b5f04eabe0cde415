"""Dumps from the strongest images of each feature, which are rows of a population; silent ones are drawn from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autointerp.counting import Counting, Uncounted, counted
from autointerp.dump.format import Attribute, DumpInfo, TopOnly
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.tensors import Stored
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError, SettingsError, one_line
from autointerp.images.decode import digest_of
from autointerp.images.formats import UNREADABLE, LeftOut, left_out
from autointerp.images.manifest import Manifest, Seen, seen_files
from autointerp.images.region import box_from_heat
from autointerp.places import cache_folder
from autointerp.populations.listing import Entry, Listing
from autointerp.populations.opening import open_population
from autointerp.schema import Exemplar, FeatureRow
from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.commands.import_rows import ImportRows, ImportTop

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

POOL = 2**14
"""So many images, drawn uniformly, are those that silent ones are drawn from where there are more: each feature draws
its own, and together they would be all images of a large population."""
MOST_LATENTS = 2**31 - 1
"""As a dump numbers them."""
BOX_MASS, BOX_MARGIN = 0.9, 0.15
"""How regions are made of heat maps, as `harvest` makes them."""
READ_BY_TORCHVISION = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""Suffixes of the files that are rows of a torchvision.datasets.ImageFolder."""
NOT_A_ROW = "images that are no row of an ImageFolder, by their suffix or since they lie in no class's folder"


@dataclass(frozen=True, slots=True)
class Top:
    """What a source says of one feature."""

    feature: int
    rows: Ints
    """Images that fire it, by their row, the strongest first, each once."""
    activations: Floats
    """Of each, above 0."""
    n_active: int
    """Images that fire it, as far as the source says: at least those listed."""
    complete: bool
    """Whether no other image fires it."""
    heats: Sequence[bytes | None] = ()
    """Of each, or none at all."""
    strata: Sequence[str] = ()
    """Of each where they are not all the strongest."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a source says of all its features at once."""

    kind: str
    """As the command names it."""
    name: str
    n_latents: int
    k: int
    """How many images it lists of a feature at most."""
    counted: bool
    """Whether it says how many images fire each feature."""
    model: str = "unknown"
    hookpoint: str = "unknown"
    widths: tuple[int, ...] = ()
    """Nested prefixes, where there are several."""
    grid: tuple[int, int] | None = None
    attribute: Attribute | None = None
    drawn: bool = False
    """Whether those listed were drawn among all that fire, and are not the strongest."""
    n_run: int | None = None
    """Only so many of the images, from the first, were run; None for all."""
    whole: bool = True
    """Whether the images are all that were run, and not merely those that some feature lists."""
    left_out: tuple[LeftOut, ...] = ()
    said: tuple[str, ...] = ()
    """What the user should know."""


def rows_of(settings: "ImportRows", what: str) -> Listing:
    """Opens the images that a source names by their row.

    Those of a folder are in the order of torchvision.datasets.ImageFolder, those of any other population in its own.

    Args:
        settings: of the import.
        what: which images the source means, for whoever did not give them.

    Raises:
        SettingsError: no images are given, or they cannot be listed.
    """
    if settings.images is None:
        raise SettingsError(f"--images: {settings.src} names images by their row alone; give {what}")
    listing = open_population(settings.images)
    # Archives, tables, lists and data sets have an order of their own, also where they name files.
    if any(entry.path != Path(listing.root, entry.name) for entry in listing.entries):
        return replace(listing, entries=[_plain(entry) for entry in listing.entries])
    ordered, others = image_folder(listing.entries)
    gone = left_out((NOT_A_ROW, entry.name) for entry in others)
    return replace(listing, entries=ordered, others=(*listing.others, *gone))


def _plain(entry: Entry) -> Entry:
    """The same with its class as its label: here 0 and 1 in a column of a data set are classes as all others."""
    if entry.attribute is None:
        return entry
    return replace(entry, attribute=None, label=entry.label or str(int(entry.attribute)))


def image_folder(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Orders images as torchvision.datasets.ImageFolder has them, and returns those that are none of its rows apart.

    It goes through the sorted folders of classes, through the folders in each by their whole path, and through the
    sorted names in each. Where all images lie in one folder, their names order them.
    """
    rows: list[tuple[str, str, str, Entry]] = []
    others: list[Entry] = []
    flat = all("/" not in entry.name for entry in entries)
    for entry in entries:
        folder, _, name = entry.name.rpartition("/")
        if (flat or folder) and Path(name).suffix.lower() in READ_BY_TORCHVISION:
            rows.append((folder.partition("/")[0], folder, name, entry))
        else:
            others.append(entry)
    return [row[3] for row in sorted(rows, key=lambda row: row[:3])], others


def listed(array: Stored) -> Stored:
    """Returns an array [latents, k] of what is listed of each latent.

    Raises:
        DumpError: it has other sizes, or lists nothing.
    """
    if 0 in array.check(None, None).shape:
        raise DumpError(f"{array.where}: its sizes are {list(array.shape)}; expected latents and the images of each")
    return array


def ends_of(listing: Listing) -> str:
    """Says which images the first and the last row mean, so that a wrong order is seen."""
    entries = listing.entries
    if not entries:
        raise SettingsError(f"--images {listing.root}: holds no images")
    return f"row 0 is taken for {entries[0].name}, row {len(entries) - 1:,} for {entries[-1].name}"


def positive(where: str, rows: Ints, activations: Floats, n: int) -> tuple[Ints, Floats]:
    """The rows that fire a feature, the strongest first; what is not above 0 is no evidence, whatever its row says.

    Args:
        where: the file and the feature, for messages.
        rows: as stored, [k].
        activations: of each, [k].
        n: images of the population.

    Raises:
        DumpError: an activation is no number, or a row is none of the population's, or comes twice.
    """
    if np.isnan(activations).any() or np.isposinf(activations).any():
        raise DumpError(f"{where}: an activation is not finite; run the tool again, in float32")
    fires = activations > 0
    rows, activations = rows[fires], activations[fires]
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        odd = int(rows.min()) if rows.min() < 0 else int(rows.max())
        raise DumpError(
            f"{where}: names image {odd:,}, and --images holds {n:,}; give those that were run, all of them"
        )
    if len(np.unique(rows)) < len(rows):
        raise DumpError(f"{where}: names an image twice; the file is not as its tool writes it")
    order = np.argsort(-activations, kind="stable")
    return rows[order], activations[order]


class Silent:
    """Draws silent images, uniformly among the images that were run without those that a feature lists.

    Args:
        n: images that were run.
        wanted: how many are drawn for a feature.
        seed: of the draw.
    """

    def __init__(self, n: int, wanted: int, seed: int) -> None:
        self._n, self._wanted, self._seed = n, wanted, seed
        rng = np.random.default_rng([seed, 2**31])
        self._pool: Ints = np.arange(n) if n <= POOL else np.sort(rng.choice(n, POOL, replace=False))

    def of(self, top: Top) -> tuple[Ints, float]:
        """Draws for one feature: ascending rows, and the chance of each.

        The chance is that of being in the pool, times that of being drawn among those of it that are not listed.
        """
        listed = np.isin(self._pool, top.rows).sum()
        left = len(self._pool) - int(listed)
        n = min(self._wanted, left)
        if not n:
            return np.zeros(0, np.int64), 1.0
        rng = np.random.default_rng([self._seed, top.feature])
        # A random order without those that are listed is a random order of the others.
        drawn = self._pool[rng.choice(len(self._pool), min(len(self._pool), n + int(listed)), replace=False)]
        rows = drawn[~np.isin(drawn, top.rows)][:n]
        return np.sort(rows), len(self._pool) / self._n * n / left


def write_tops(
    settings: "ImportTop",
    origin: Origin,
    images: Sequence[Entry],
    tops: Callable[[], Iterable[Top]],
    *,
    progress: Counting | None = None,
) -> Imported:
    """Writes the dump of a source that lists the strongest images of each feature.

    Silent images are drawn only for features of which every image that fires them is listed, unless the settings say
    to take all others for silent.

    Args:
        settings: of the import.
        origin: what the source says of all features.
        images: that were run, by row.
        tops: gives the features, ascending; called twice.
        progress: is told of images read.

    Raises:
        DumpError: the dump exists, or none of the images can be read.
    """
    n_run = len(images) if origin.n_run is None else origin.n_run
    draw = Silent(n_run, settings.silent, settings.seed)
    used, n_full, n_most = np.zeros(len(images), np.bool_), 0, n_run
    for top in tops():
        _refuse_more(settings, origin, top, n_run)
        n_most = max(n_most, top.n_active)
        used[top.rows] = True
        n_full += not top.complete
        if len(top.rows) and (top.complete or settings.assume_silent):
            used[draw.of(top)[0]] = True
    info = _info(settings, origin, images, n_most, n_full)
    with DumpWriter(settings.dump, info) as writer:
        shown = _Shown(writer, images, used, settings.store, counted(progress or Uncounted(), "images read"))
        for top in tops():
            writer.add_feature(*_feature(top, info, images, shown, draw, assume=settings.assume_silent))
    gone = left_out((UNREADABLE, line) for line in shown.broken)
    return Imported(**info.model_dump(), left_out=(*gone, *origin.left_out), said=origin.said, outside=shown.outside)


def _refuse_more(settings: "ImportTop", origin: Origin, top: Top, n_run: int) -> None:
    if origin.whole and top.n_active > n_run:
        fires = f"feature {top.feature} fires on {top.n_active:,} images, and --images holds {n_run:,}"
        raise DumpError(f"{settings.src}: {fires}; give those that were run, all of them")


def _info(settings: "ImportTop", origin: Origin, images: Sequence[Entry], n_images: int, n_full: int) -> DumpInfo:
    n_latents = settings.n_latents or origin.n_latents
    if n_latents < origin.n_latents or (origin.widths and n_latents != origin.n_latents):
        raise SettingsError(f"--n-latents {n_latents}: {settings.src} has {origin.n_latents:,}; leave the option out")
    if not 0 < n_latents <= MOST_LATENTS:
        raise DumpError(f"{settings.src}: has {n_latents:,} latents; expected 1 to {MOST_LATENTS:,}")
    labelled = any(entry.attribute is not None for entry in images)
    top_only = TopOnly(
        k=origin.k,
        n_full=n_full,
        counted=origin.counted,
        drawn=origin.drawn,
        assumed_silent=settings.assume_silent,
    )
    return DumpInfo(
        name=settings.name or origin.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        created_by=f"autointerp {__version__}, import {origin.kind}",
        model=settings.model or origin.model,
        hookpoint=settings.hookpoint or origin.hookpoint,
        n_latents=n_latents,
        widths=origin.widths or (n_latents,),
        n_images=n_images,
        active_above=0.0,
        patch_grid=origin.grid,
        attribute=origin.attribute or (_PLAIN_ATTRIBUTE if labelled else None),
        population="complete" if origin.whole else "unknown",
        top_only=top_only if n_full else None,
    )


_PLAIN_ATTRIBUTE = Attribute(name="physical error", description="1: has it, 0: has not; the folders of --images say so")


class _Shown:
    """The images that the dump shows, written as they are read.

    Args:
        writer: of the dump.
        images: that were run, by row.
        used: which of them the dump shows, [n].
        store: whether it holds their files or paths.
        progress: is told images read and all that are used.
    """

    def __init__(
        self,
        writer: DumpWriter,
        images: Sequence[Entry],
        used: Flags,
        store: str,
        progress: Callable[[int, int], None],
    ) -> None:
        self.readable: Flags = used.copy()
        self.sizes: npt.NDArray[np.int32] = np.zeros((len(images), 2), np.int32)
        self.broken: list[str] = []
        self.outside = False
        rows = np.flatnonzero(used).tolist()
        contents = (images[row].content for row in rows)
        for done, (row, seen) in enumerate(zip(rows, seen_files(contents, Manifest(cache_folder())), strict=True), 1):
            if isinstance(seen, Seen):
                self.sizes[row] = seen.size
                self._add(writer, row, images[row], seen, store)
            else:
                self.readable[row] = False
                self.broken.append(one_line(seen))
            progress(done, len(rows))
        if rows and not self.readable.any():
            raise DumpError(f"none of the {len(rows):,} images that are named can be read; the first: {self.broken[0]}")

    def _add(self, writer: DumpWriter, row: int, entry: Entry, seen: Seen, store: str) -> None:
        as_path = store == "paths" and entry.path is not None
        self.outside |= as_path
        data = None if as_path else entry.read()
        writer.add_image(
            row,
            path=entry.path.resolve() if as_path and entry.path is not None else None,
            data=data,
            size=seen.size,
            sha256=seen.digest if data is None else digest_of(data),
            attribute=entry.attribute,
            group=entry.source,
            label=entry.label,
        )


def _feature(
    top: Top, info: DumpInfo, images: Sequence[Entry], shown: _Shown, draw: Silent, *, assume: bool
) -> tuple[FeatureRow, list[Exemplar]]:
    exemplars = list(_active(top, info, shown))
    if len(top.rows) and (top.complete or assume):
        rows, chance = draw.of(top)
        exemplars += [Exemplar(r, 0.0, "silent", chance, None, None) for r in rows.tolist() if shown.readable[r]]
    carriers = [images[row].attribute for row in top.rows.tolist()]
    with_attribute = None
    if info.attribute is not None and top.complete and None not in carriers:
        with_attribute = sum(map(bool, carriers))
    strongest = float(top.activations.max(initial=0.0))
    row = FeatureRow(top.feature, info.width_of(top.feature), top.n_active, strongest, with_attribute, None)
    return row, exemplars


def _active(top: Top, info: DumpInfo, shown: _Shown) -> Iterator[Exemplar]:
    for i, (row, activation) in enumerate(zip(top.rows.tolist(), top.activations.tolist(), strict=True)):
        if not shown.readable[row]:
            continue
        heat, box = top.heats[i] if top.heats else None, None
        if heat is not None and info.patch_grid is not None:
            width, height = shown.sizes[row].tolist()
            box = box_from_heat(heat, info.patch_grid, (width, height), mass=BOX_MASS, margin=BOX_MARGIN)
        yield Exemplar(row, activation, top.strata[i] if top.strata else "top", 1.0, box, heat)
