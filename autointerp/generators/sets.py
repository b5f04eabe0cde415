"""The images of each generator: where they are, what they were made from, and which belong together."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from autointerp.errors import SettingsError, excerpt, one_line
from autointerp.images.manifest import Manifest
from autointerp.images.near_duplicates import joined, near_duplicates
from autointerp.populations.images import Population, PopulationImage, look_at
from autointerp.populations.labels import text_of
from autointerp.populations.opening import open_manifest, open_population
from autointerp.populations.tables import read_table
from autointerp.statistics.rates import Ints

Telling = Callable[[int, int], None]
GENERATOR, PROMPT, SEED = "generator", "prompt", "seed"
"""Columns of a manifest."""
MOST_NAME = 200
"""Characters of a generator's name."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of one generator, or the reference."""

    name: str
    images: tuple[PopulationImage, ...]
    prompts: tuple[str | None, ...]
    """Of each image."""
    seeds: tuple[str | None, ...]
    broken: tuple[str, ...]
    """One line for each file that cannot be read."""

    @property
    def sizes(self) -> list[tuple[tuple[int, int], int]]:
        """Returns width and height of the images, and how many have them, the most frequent first."""
        found = Counter((i.width, i.height) for i in self.images)
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def named_folders(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Takes NAME=FOLDER apart.

    Raises:
        SettingsError: one is not written so, or a name stands twice.
    """
    pairs = []
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals or not name.strip() or not place:
            raise SettingsError(f"--images {one_line(text)!r}: write it as NAME=FOLDER, such as A=images/a")
        pairs.append((name.strip(), place))
    names = [name for name, _ in pairs]
    _check_names(names, "--images")
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise SettingsError(f"--images {twice}=…: the name stands twice; put its images into one folder")
    return pairs


def _check_names(names: Sequence[str], where: str) -> None:
    if long := next((n for n in names if len(n) > MOST_NAME), None):
        raise SettingsError(f"{where}: the name {excerpt(long, 40)} has more than {MOST_NAME} characters; shorten it")


def from_folder(name: str, place: str, *, paired: bool, manifest: Manifest, progress: Telling) -> ImageSet:
    """Reads the images of a folder, or of any other population.

    Args:
        name: of the generator.
        place: where its images are.
        paired: whether a file's name stands for its prompt.
        manifest: remembers files.
        progress: is told files read.

    Raises:
        SettingsError: there are none that can be read.
    """
    try:
        found = look_at(open_population(place), manifest=manifest, progress=progress)
    except SettingsError as e:
        raise SettingsError(f"--images {name}=…: {e}") from e
    prompts = tuple(f"file {PurePosixPath(i.name).stem}" if paired else i.source for i in found.images)
    return ImageSet(name, found.images, prompts, (None,) * len(prompts), found.broken)


def from_manifest(path: Path, *, manifest: Manifest, progress: Telling) -> list[ImageSet]:
    """Reads the images that a table lists, a set for each generator.

    Raises:
        SettingsError: the table cannot be used, or no image can be read.
    """
    table = read_table(path, "--manifest")
    if GENERATOR not in table.columns:
        raise SettingsError(
            f"--manifest {path}: has no column {GENERATOR!r}; it has {', '.join(table.columns) or 'none'}"
        )
    listing = open_manifest(path, GENERATOR, PROMPT if PROMPT in table.columns else None)
    seeds: dict[str, str | None] = {}
    if SEED in table.columns:
        rows = table.rows([SEED])
        seeds = {e.name: text_of(row[0]) for e, row in zip(listing.entries, rows, strict=True)}
    population = look_at(listing, manifest=manifest, progress=progress)
    # A file that cannot be read is told of by its path; whose it was is found by that.
    owners = {str(e.content): e.label or "" for e in listing.entries}
    whose = [(line, owners.get(_file_of(line, owners))) for line in population.broken]
    names = sorted({e.label or "" for e in listing.entries})
    _check_names(names, f"--manifest {path}")
    return [_of_generator(name, population, seeds, [line for line, of in whose if of == name]) for name in names]


def _file_of(line: str, files: Collection[str]) -> str:
    """The file that a line speaks of, whose name may hold a colon itself."""
    parts = line.split(": ")
    return next((f for n in range(len(parts), 0, -1) if (f := ": ".join(parts[:n])) in files), "")


def _of_generator(name: str, population: Population, seeds: dict[str, str | None], broken: Sequence[str]) -> ImageSet:
    own = tuple(i for i in population.images if i.label == name)
    if not own:
        first = f"; the first: {broken[0]}" if broken else ""
        raise SettingsError(f"--manifest: no image of the generator {name!r} can be read{first}")
    prompts = tuple(i.source for i in own)
    return ImageSet(name, own, prompts, tuple(seeds.get(i.name) for i in own), tuple(broken))


def check_sizes(sets: Sequence[ImageSet], reference: str | None) -> None:
    """Stops at a generator whose images have several sizes.

    Raises:
        SettingsError: one has.
    """
    for one in sets:
        if one.name != reference and len(one.sizes) > 1:
            (a, n), (b, m), *_ = one.sizes
            raise SettingsError(
                f"{one.name}: images of {len(one.sizes)} sizes, {n:,} of {a[0]} x {a[1]} and {m:,} of {b[0]} x {b[1]} "
                "among them; take out what is not the generator's, or give --mixed-sizes if all is"
            )


def clusters_of(sets: Sequence[ImageSet]) -> list[Ints]:
    """Numbers what belongs together, over all sets: images of one prompt, and near-duplicates."""
    looks = [i.look for one in sets for i in one.images]
    prompts = [prompt for one in sets for prompt in one.prompts]
    whole = joined(len(looks), near_duplicates(looks).tolist(), prompts)
    ends = np.cumsum([len(one.images) for one in sets])[:-1]
    return np.split(whole, ends)
