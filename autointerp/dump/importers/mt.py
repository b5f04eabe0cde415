"""Imports what Matryoshka-Transcoders' populate.py writes: `feature_N/` with copies of the strongest images."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autointerp.counting import Counting
from autointerp.dump.format import Attribute
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.mt_metadata import Told, read_feature
from autointerp.dump.importers.rows import Origin, Top, write_tops
from autointerp.dump.importers.sources import one_of
from autointerp.errors import DumpError, SettingsError
from autointerp.images.content import OwnFile
from autointerp.images.decode import digest_of
from autointerp.images.formats import LeftOut, left_out
from autointerp.populations.listing import Entry
from autointerp.populations.opening import open_population

if TYPE_CHECKING:
    from autointerp.commands.import_mt import ImportMt

_FEATURE = re.compile(r"feature_(\d{1,9})")
_LEVEL = re.compile(r"level_(\d{1,3})")
OTHER_FOLDERS = "folders and files that are not called feature_N"


@dataclass(frozen=True, slots=True)
class _Images:
    entries: Sequence[Entry]
    rows: Mapping[str, int]
    """Of each image that a line names and of which there is a copy, by the line's name."""
    others: tuple[LeftOut, ...]


def run(settings: "ImportMt", *, progress: Counting | None = None) -> Imported:
    """Writes a dump from the folders of features.

    Without --images, the images are those that some feature lists, and silent ones are drawn among them.

    Raises:
        DumpError: a folder is not as the script writes it, or --images lacks an image that it names.
        SettingsError: an option does not fit the folders.
    """
    root = _root(settings)
    folders, others = _folders(root)
    start, widths = _start(root, settings.widths), settings.widths or ()
    told = {number - start: read_feature(folder, number) for number, folder in folders}
    if min(told) < 0 or (widths and max(told) >= widths[-1]):
        raise SettingsError(f"--widths: {root} has features {folders[0][0]} to {folders[-1][0]}, which do not fit them")
    _refuse_links(root, told.values())
    images, attribute = _attributed(settings, told, _listed(settings, told))

    def tops() -> Iterator[Top]:
        return (_top(feature, said, images.rows) for feature, said in told.items())

    others += [one for said in told.values() for one in said.left_out]
    origin = Origin(
        kind="mt",
        name=root.resolve().name,
        n_latents=widths[-1] if widths else max(told) + 1,
        k=max(len(said.ranked) for said in told.values()),
        counted=True,
        widths=tuple(widths),
        attribute=attribute,
        whole=settings.images is not None,
        left_out=(*left_out(others), *images.others),
        said=tuple(_said(settings, start, attribute)),
    )
    return write_tops(settings, origin, images.entries, tops, progress=progress)


def _top(feature: int, said: Told, row_of: Mapping[str, int]) -> Top:
    fires: dict[int, float] = {}
    for one in said.ranked:
        if one.file is not None:
            fires.setdefault(row_of[one.name], one.activation)
    rows, activations = np.array([*fires], np.int64), np.array([*fires.values()], np.float32)
    return Top(feature, rows, activations, said.total, complete=said.complete)


def _said(settings: "ImportMt", start: int, attribute: Attribute | None) -> Iterator[str]:
    if attribute is not None:
        yield f"attribute: images of the data set {attribute.name}; another with --attribute"
    if settings.widths is None:
        yield "widths: its files do not say them; give --widths for the nested prefixes"
    if start:
        yield f"features are {start:,} less than their folders say, whose numbers the script writes so much too high"


def _root(settings: "ImportMt") -> Path:
    """The folder that holds those of the features: SRC, or one below it."""
    source = settings.src
    inside = [source, *(sorted(p for p in source.iterdir() if p.is_dir()) if source.is_dir() else [])]
    inside += [deeper for folder in inside[1:] for deeper in sorted(folder.glob("level_*")) if deeper.is_dir()]
    found = (
        [folder for folder in inside if any(_FEATURE.fullmatch(p.name) for p in folder.iterdir())] if inside[1:] else []
    )
    if source in found:
        return source
    return one_of(
        source, found, settings.level, "a folder feature_N", names=lambda p: (p.name, str(p)), option="--level"
    )


def _folders(root: Path) -> tuple[list[tuple[int, Path]], list[tuple[str, Path]]]:
    folders: dict[int, Path] = {}
    others: list[tuple[str, Path]] = []
    for path in sorted(root.iterdir()):
        match = _FEATURE.fullmatch(path.name)
        if match is None or not path.is_dir():
            others.append((OTHER_FOLDERS, path))
        elif (other := folders.setdefault(int(match[1]), path)) != path:
            raise DumpError(f"{path}: is the same feature as {other.name}; merge the two folders")
    return sorted(folders.items()), others


def _start(root: Path, widths: Sequence[int] | None) -> int:
    """What is to be taken off the folders' numbers.

    With `target_level` N the script counts the latents of that level's whole prefix from the end of the one before.
    """
    match = _LEVEL.fullmatch(root.resolve().name)
    level = int(match[1]) if match else 0
    if widths is not None and any(a >= b for a, b in pairwise(widths)):
        raise SettingsError(f"--widths {','.join(map(str, widths))}: they must ascend")
    if not level:
        return 0
    if widths is None or level >= len(widths):
        raise SettingsError(
            f"--widths: the script's numbers in {root.name} are too high by the width of the level before; give "
            f"the widths of at least {level + 1} levels, such as --widths 128,256,512,1024,2048"
        )
    return widths[level - 1]


def _refuse_links(root: Path, told: Iterable[Told]) -> None:
    home = root.resolve()
    for said in told:
        for one in said.ranked:
            if one.file is not None and one.file.is_symlink() and not one.file.resolve().is_relative_to(home):
                raise DumpError(f"{one.file}: is a link that leads out of {root.name}; put the image there instead")


def _listed(settings: "ImportMt", told: Mapping[int, Told]) -> _Images:
    """The images by row, and which row each line means."""
    files: dict[str, Path] = {}
    for said in told.values():
        for one in said.ranked:
            if one.file is not None:
                files.setdefault(one.name, one.file)
    if not files:
        raise DumpError(f"{settings.src}: none of the images that its metadata.txt name is there; copy it again, whole")
    if settings.images is None:
        names = sorted(files)
        entries = [Entry(name, OwnFile(files[name]), None, None, name.rpartition("/")[0] or None) for name in names]
        return _Images(entries, {name: row for row, name in enumerate(names)}, ())
    listing = open_population(settings.images)
    found = _Found(listing.entries, listing.root)
    return _Images(listing.entries, {name: found.row(name, file) for name, file in files.items()}, listing.others)


class _Found:
    """Finds the image of a population that a copy is of, by its bytes; those of its name are looked at first.

    Args:
        entries: the population.
        images: what it is called.
    """

    def __init__(self, entries: Sequence[Entry], images: str) -> None:
        self._entries, self._images = entries, images
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for row, entry in enumerate(entries):
            self._by_name[entry.name.rpartition("/")[2]].append(row)

    def row(self, name: str, file: Path) -> int:
        """Returns the image's row.

        Raises:
            DumpError: the population has no image of these bytes.
        """
        digest = digest_of(file)
        same = self._by_name.get(name.rpartition("/")[2], ())
        # Two data sets may hold one image under one name.
        for row in sorted(same, key=lambda row: not f"/{self._entries[row].name}".endswith(f"/{name}")):
            if self._digest(row) == digest:
                return row
        if (row := self._by_digest.get(digest)) is None:
            told = f"--images {self._images} holds no image of these bytes; give the images that were run, unchanged"
            raise DumpError(f"{file}: {told}")
        return row

    @cached_property
    def _by_digest(self) -> Mapping[str, int]:
        """All images; read only where some have other names, as in an archive of numbered files."""
        return {self._digest(row): row for row in reversed(range(len(self._entries)))}

    def _digest(self, row: int) -> str:
        entry = self._entries[row]
        return digest_of(entry.path if entry.path is not None else entry.read())


def _attributed(settings: "ImportMt", told: Mapping[int, Told], images: _Images) -> tuple[_Images, Attribute | None]:
    """Gives images the attribute: those of one data set have it, those of the others not."""
    sets = sorted({one.name.rpartition("/")[0] for said in told.values() for one in said.ranked})
    chosen = settings.attribute
    if chosen is None:
        telling = [name for name in sets if "error" in re.split(r"[^a-z]+", name.rpartition("/")[2].lower())]
        chosen = telling[0] if len(telling) == 1 and len(sets) > 1 else None
    if chosen is None:
        return images, None
    if chosen not in sets:
        raise SettingsError(f"--attribute {chosen}: no metadata.txt names such a data set; there is {', '.join(sets)}")
    set_of = {row: name.rpartition("/")[0] for name, row in images.rows.items()}
    by_folder = {name.rpartition("/")[2]: name for name in sets}

    def entry(row: int, one: Entry) -> Entry:
        own = set_of.get(row) or next((by_folder[p] for p in one.name.split("/")[-2::-1] if p in by_folder), None)
        return replace(one, attribute=None if own is None else own == chosen, label=own or one.label)

    about = f"1: is of the data set {chosen}, 0: is of {' or '.join(name for name in sets if name != chosen)}"
    entries = [entry(row, one) for row, one in enumerate(images.entries)]
    return replace(images, entries=entries), Attribute(name=chosen.rpartition("/")[2], description=about)
