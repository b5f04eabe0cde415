from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.schema import FeatureRow
from autointerp.transcoder.harvest.parents import Hierarchy, Placed, hierarchy_of

ROWS, COLUMNS = 3, 4
PATCHES = ROWS * COLUMNS


def placed(maps: np.ndarray) -> Placed:
    """From heat maps [images, patches, latents]."""
    image, patch, latent = np.nonzero(maps)
    values = maps[image, patch, latent].astype(np.float32)
    n_images, n_patches, _ = maps.shape
    return Placed(image, patch, latent, values, n_images, n_patches, maps.max(axis=1).astype(np.float32))


def found(maps: np.ndarray, widths: tuple[int, ...], decoder: np.ndarray | None = None) -> Hierarchy:
    return hierarchy_of(placed(maps), widths, decoder, seed=0)


class Slow:
    """Goes through heat maps by loops and exact fractions."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps
        self.images, self.patches, self.latents = (range(n) for n in maps.shape)
        self.level = [float(np.sort(maps[:, :, j].max(axis=1))[-5:].mean()) for j in self.latents]

    def strong(self, j: int, i: int) -> list[int]:
        return [q for q in self.patches if self.maps[i, q, j] > 0 and self.maps[i, q, j] >= 0.5 * self.level[j]]

    def on(self, j: int, i: int, q: int) -> bool:
        return bool(self.maps[i, q, j] > 0.1 * self.level[j])

    def rate(self, j: int, i: int, patches: list[int]) -> Fraction:
        return Fraction(sum(self.on(j, i, q) for q in patches), len(patches))

    def images_of(self, j: int) -> list[int]:
        return [i for i in self.images if self.strong(j, i)]

    def share(self, p: int, c: int) -> Fraction:
        images = self.images_of(c)
        return sum((self.rate(p, i, self.strong(c, i)) for i in images), Fraction(0)) / max(1, len(images))

    def elsewhere(self, p: int, c: int) -> Fraction:
        others = {i: [q for q in self.patches if q not in self.strong(c, i)] for i in self.images_of(c)}
        rates = [self.rate(p, i, patches) for i, patches in others.items() if patches]
        return sum(rates, Fraction(0)) / max(1, len(rates))

    def anywhere(self, p: int, c: int) -> Fraction:
        total, images = Fraction(0), self.images_of(c)
        for i in images:
            for q in self.strong(c, i):
                often = Fraction(sum(self.on(p, k, q) for k in self.images), len(self.images))
                total += often / len(self.strong(c, i)) / len(images)
        return total

    def related(self, p: int, c: int, n_candidates: int) -> bool:
        own, chance, n = self.share(p, c), max(self.elsewhere(p, c), self.anywhere(p, c)), len(self.images_of(c))
        x = float(min(chance, 1))
        luck = sum(comb(n, m) * x**m * (1 - x) ** (n - m) for m in range(int(own * n), n + 1))
        return own >= Fraction(1, 2) and own >= 2 * chance and luck * n_candidates < 0.05


def slow(maps: np.ndarray, widths: tuple[int, ...]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Parents and duplicates of each latent; those too rare to tell are left out."""
    of = Slow(maps)
    parents: dict[int, set[int]] = {}
    duplicates: dict[int, set[int]] = {}
    for c in range(widths[0], maps.shape[2]):
        below = max(w for w in (0, *widths) if w <= c)
        if len(of.images_of(c)) >= 5:
            related = {p for p in range(below) if of.related(p, c, below)}
            duplicates[c] = {p for p in related if of.share(c, p) >= Fraction(4, 5)}
            parents[c] = related - duplicates[c]
    return parents, duplicates


def random_maps(seed: int) -> np.ndarray:
    """24 images: latents 0 to 3 are blobs, 4 to 9 parts of one of them, copies of one, or blobs of their own."""
    chance = np.random.default_rng(seed)
    maps = np.zeros((24, PATCHES, 10), np.float32)
    for j in range(4):
        on = chance.random((24, PATCHES)) < 0.35
        maps[:, :, j] = on * (chance.random((24, 1)) < 0.6) * chance.uniform(0.5, 2, (24, PATCHES)) * 10.0**j
    for j in range(4, 10):
        of = maps[:, :, chance.integers(4)] > 0
        kept = (chance.random((24, PATCHES)) < (0.5, 0.95, 0.8)[j % 3]) & (
            chance.random((24, 1)) < (0.6, 1, 0.8)[j % 3]
        )
        blob = chance.random((24, PATCHES)) < 0.3
        maps[:, :, j] = (of & kept if j % 3 < 2 else blob & kept) * chance.uniform(0.2, 2, (24, PATCHES))
    return maps


@pytest.mark.parametrize("seed", range(6))
def test_parents_are_those_that_loops_over_heat_maps_find(seed: int):
    maps = random_maps(seed)
    widths = (4, 7, 10)

    parents, duplicates = slow(maps, widths)
    fast = found(maps, widths)

    assert {c: set(p) for c, p in enumerate(fast.parents) if c >= 4 and p is not None} == parents
    assert {c: set(p) for c, p in enumerate(fast.duplicates) if c >= 4 and p is not None} == duplicates
    assert fast.info.n_pairs == sum(map(len, parents.values()))


def test_the_random_worlds_hold_pairs_of_each_kind():
    worlds = [slow(random_maps(seed), (4, 7, 10)) for seed in range(6)]

    assert sum(len(p) for parents, _ in worlds for p in parents.values()) >= 6
    assert sum(len(p) for _, duplicates in worlds for p in duplicates.values()) >= 4


def boxes(n_latents: int, **where: tuple[range, slice]) -> np.ndarray:
    """Heat maps of 60 images: of each latent, on which images and patches it is on."""
    maps = np.zeros((60, PATCHES, n_latents), np.float32)
    for name, (images, patches) in where.items():
        for image in images:
            maps[image, patches, int(name.removeprefix("l"))] = 2.0
    return maps


def test_a_parent_is_on_where_its_child_is_and_not_merely_on_the_same_images():
    # Latent 0 holds the places of 3 on its images, latent 1 is on the same images at other places.
    maps = boxes(4, l0=(range(20), slice(0, 4)), l1=(range(20), slice(6, 10)), l3=(range(10), slice(0, 2)))

    assert found(maps, (3, 4)).parents == [(), (), (), (0,)]


def test_what_is_on_all_over_the_image_is_no_parent():
    # At 2 of 2 patches of the child, and at 6 of the 10 others: 1.7 times as often.
    maps = boxes(2, l0=(range(20), slice(0, 8)), l1=(range(10), slice(0, 2)))
    # At 5 of the 10 others: twice as often.
    fewer = boxes(2, l0=(range(20), slice(0, 7)), l1=(range(10), slice(0, 2)))

    assert found(maps, (1, 2)).parents[1] == ()
    assert found(fewer, (1, 2)).parents[1] == (0,)


def test_what_is_on_at_the_same_place_of_most_images_is_no_parent():
    maps = boxes(2, l0=(range(40), slice(0, 3)), l1=(range(10), slice(0, 2)))

    # On at its child's place on all of the child's images, and on 40 of any 60.
    assert found(maps, (1, 2)).parents[1] == ()


def test_two_that_are_on_at_the_same_places_are_duplicates_and_not_parents():
    maps = boxes(3, l0=(range(10), slice(0, 3)), l1=(range(20), slice(0, 4)), l2=(range(10), slice(0, 3)))

    hierarchy = found(maps, (2, 3))

    assert (hierarchy.parents[2], hierarchy.duplicates[2]) == ((1,), (0,))
    assert (hierarchy.info.n_with_parents, hierarchy.info.n_with_duplicates) == (1, 1)


def test_each_latent_is_measured_by_its_own_level():
    maps = boxes(3, l0=(range(20), slice(0, 4)), l2=(range(10), slice(0, 2)))
    maps[:, :, 0] *= 100
    # The parent whispers everywhere, at 5 % of its own level, which is 5 times the child's.
    faint = maps + np.array([10.0, 0, 0], np.float32)

    assert found(faint, (2, 3)).parents[2] == (0,)


def test_a_latent_that_is_strong_on_four_images_is_too_rare_to_tell():
    maps = boxes(3, l0=(range(20), slice(0, 4)), l1=(range(4), slice(0, 2)), l2=(range(5), slice(0, 2)))

    assert found(maps, (1, 3)).parents == [(), None, (0,)]
    assert found(maps, (1, 3)).info.n_too_rare == 1


def test_without_places_a_parent_fires_on_the_images_that_fire_its_child():
    maps = np.zeros((100, 1, 3), np.float32)
    maps[:30, 0, 0], maps[:60, 0, 1], maps[:12, 0, 2] = 2, 2, 2

    hierarchy = found(maps, (2, 3))

    # Latent 1 is on 60 of any 100 images, so that 12 of 12 are less than twice as often.
    assert hierarchy.parents[2] == (0,)
    assert hierarchy.info.n_pairs_shuffled is None


def test_of_two_that_fire_alike_the_one_that_writes_alike_comes_first():
    maps = boxes(4, l0=(range(20), slice(0, 4)), l1=(range(20), slice(0, 4)), l2=(range(20), slice(0, 4)))
    maps[:10, 0:2, 3] = 1
    decoder = np.array([[1, 0], [0, 1], [-1, 0], [0, 2]], np.float32)

    # Shares are all 1: closeness is 1/2, 1 and 1/2 for cosines of 0, 1 and 0.
    assert found(maps, (3, 4), decoder).parents[3] == (1, 0, 2)


def test_at_most_three_parents_are_named():
    maps = np.zeros((60, PATCHES, 6), np.float32)
    maps[:20, 0:4, :5] = 1
    maps[:10, 0:2, 5] = 1

    assert found(maps, (5, 6)).parents[5] == (0, 1, 2)


def test_with_places_shuffled_hardly_any_pair_is_left():
    chance = np.random.default_rng(0)
    maps = np.zeros((200, PATCHES, 40), np.float32)
    for j in range(20):
        first = chance.integers(0, PATCHES - 4, 200)
        for i in np.flatnonzero(chance.random(200) < 0.2):
            maps[i, first[i] : first[i] + 4, j] = 1
            maps[i, first[i] : first[i] + 2, 20 + j] = chance.random() < 0.5

    info = found(maps, (20, 40)).info

    assert (info.n_pairs, info.n_pairs_shuffled) == (20, 0)
    # At 2 of the other 10 patches.
    assert (info.share, info.elsewhere) == (1.0, pytest.approx(0.2))


def test_by_chance_hardly_any_latent_has_a_parent():
    maps = (np.random.default_rng(0).random((100, PATCHES, 300)) < 0.03).astype(np.float32)

    info = found(maps, (100, 300)).info

    assert info.n_with_parents <= 3


INFO = DumpInfo(
    name="d",
    created="2026-01-31T12:00:00Z",
    created_by="a test",
    model="m",
    hookpoint="h",
    n_latents=8,
    widths=(4, 8),
    n_images=0,
    active_above=0.0,
)


def write(folder: Path, *parents: tuple[int, ...] | None) -> Path:
    with DumpWriter(folder, INFO) as writer:
        for i, own in enumerate(parents):
            writer.add_feature(FeatureRow(i + 3, 4 if i == 0 else 8, 0, 0.0, None, None, own), ())
    return folder


def test_parents_come_back_as_they_were_written(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3, 0), None)

    with open_dump(folder) as dump:
        assert [f.row.parents for f in dump.features()] == [(), (3, 0), None]


def test_a_dump_without_the_column_has_no_parents(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3,))
    table = pq.read_table(folder / "features.parquet")
    pq.write_table(table.drop_columns(["parents"]), folder / "features.parquet")

    with open_dump(folder) as dump:
        assert [f.row.parents for f in dump.features()] == [None, None]


def test_parents_of_any_integer_type_are_read(tmp_path: Path):
    folder = write(tmp_path / "d", (), (3,))
    table = pq.read_table(folder / "features.parquet")
    wide = table["parents"].cast(pa.large_list(pa.int64()))
    pq.write_table(table.set_column(6, "parents", wide), folder / "features.parquet")

    with open_dump(folder) as dump:
        assert dump.feature(4).row.parents == (3,)


@pytest.mark.parametrize("parents", [(4,), (3, -1), (7,)])
def test_a_parent_outside_the_smaller_prefixes_is_refused(tmp_path: Path, parents: tuple[int, ...]):
    with pytest.raises(DumpError) as caught:
        write(tmp_path / "d", (), parents)

    named = f"parents is {list(parents)}; expected latents of prefixes smaller than the feature's own, or null"
    assert str(caught.value).endswith(f"features.parquet: row 1: {named}")


def test_a_feature_of_the_smallest_prefix_has_no_parents(tmp_path: Path):
    with pytest.raises(DumpError, match=r"row 0: parents is \[0\]"):
        write(tmp_path / "d", (0,))
