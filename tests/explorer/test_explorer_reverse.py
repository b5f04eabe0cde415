"""The reverse index says what the dump's rows say, and co-firing is estimated without bias."""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from explorer.explorer_world import picture
from exports.exports_world import drawn

from autointerp.dump import writer as writer_module
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.explorer import reverse as reverse_module
from autointerp.explorer.cofiring import Stored, alike_directions, cofiring
from autointerp.explorer.reverse import ROW, Reverse, box_of, make_reverse, read_reverse
from autointerp.schema import Box, Exemplar, FeatureRow

N_FEATURES, N_IMAGES = 30, 17
STRATA = ("top", "q1", "q9", "silent", "guided")


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dump:
    """Features with up to twelve rows on images of even numbers, drawn; some three of them in a row group."""
    monkeypatch.setattr(writer_module, "N_GROUP_EXEMPLARS", 18)
    rng = np.random.default_rng(5)
    info = drawn(n_latents=N_FEATURES, widths=(N_FEATURES,))
    data = picture("red")
    with DumpWriter(tmp_path / "dump", info) as writer:
        for image in range(N_IMAGES):
            writer.add_image(2 * image, data=data, size=(80, 60), sha256=f"{image:064x}")
        for feature in range(N_FEATURES):
            images = sorted(rng.choice(N_IMAGES, rng.integers(0, 12), replace=False).tolist())
            rows = [_row(2 * i, STRATA[rng.integers(len(STRATA))], float(rng.integers(1, 9))) for i in images]
            highest = max((r.activation for r in rows), default=0.0)
            writer.add_feature(FeatureRow(feature, N_FEATURES, 20, highest, None, None), rows)
    return open_dump(tmp_path / "dump")


def _row(image: int, stratum: str, activation: float) -> Exemplar:
    silent = stratum in ("silent", "guided")
    box = None if silent or image % 4 else Box(image, 0, image + 20, 60)
    chance = 1.0 if stratum == "top" else 1 / activation
    return Exemplar(image, 0.0 if silent else activation, stratum, chance, box, None)


def slow(dump: Dump) -> dict[int, list[tuple[int, float, float, Box | None]]]:
    """By image: feature, activation, probability and box of every row that fires, the strongest first."""
    found: dict[int, list[tuple[int, float, float, Box | None]]] = {i: [] for i in range(0, 2 * N_IMAGES, 2)}
    for feature in dump.features():
        for e in feature.active:
            found[e.image].append((feature.id, e.activation, np.float32(e.probability), e.box))
    return {image: sorted(rows, key=lambda r: (-r[1], r[0])) for image, rows in found.items()}


def told(reverse: Reverse, dump: Dump) -> dict[int, list[tuple[int, float, float, Box | None]]]:
    out = {}
    for place, image in enumerate(dump.image_table.known.ids.tolist()):
        rows = reverse.of(place)
        known = dump.image(image)
        out[image] = [(int(r["feature"]), float(r["activation"]), r["probability"], box_of(r, known)) for r in rows]
    return out


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_it_says_what_the_rows_say_however_many_are_sorted_at_once(
    dump: Dump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
):
    monkeypatch.setattr(reverse_module, "AT_ONCE", at_once)

    made = make_reverse(dump, tmp_path / "cache")

    assert told(made, dump) == slow(dump)
    assert sum(map(len, slow(dump).values())) > 50


def test_it_is_made_once_and_leaves_nothing_else(dump: Dump, tmp_path: Path):
    assert read_reverse(tmp_path / "cache", dump.digest) is None
    make_reverse(dump, tmp_path / "cache")

    again = read_reverse(tmp_path / "cache", dump.digest)

    assert again is not None
    assert told(again, dump) == slow(dump)
    files = sorted(str(p.relative_to(tmp_path / "cache")) for p in (tmp_path / "cache").rglob("*") if p.is_file())
    own = f"reverse/{dump.digest}"
    assert files == [f"{own}/index.json", f"{own}/rows.bin", f"{own}/starts.npy"]


@pytest.mark.parametrize("name", ["index.json", "starts.npy", "rows.bin"])
@pytest.mark.parametrize("content", [b"", b"nonsense", json.dumps({"version": 0}).encode()])
def test_one_that_is_damaged_is_made_again(dump: Dump, tmp_path: Path, name: str, content: bytes):
    make_reverse(dump, tmp_path / "cache")
    (tmp_path / "cache" / "reverse" / dump.digest / name).write_bytes(content)

    assert read_reverse(tmp_path / "cache", dump.digest) is None
    assert told(make_reverse(dump, tmp_path / "cache"), dump) == slow(dump)


@pytest.mark.parametrize(("column", "expected"), [("feature", "features.parquet"), ("image", "images.parquet")])
def test_a_row_of_what_the_dump_does_not_have_is_told(dump: Dump, tmp_path: Path, column: str, expected: str):
    path = tmp_path / "dump" / "exemplars.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index(column)
    last = pa.array([*table[column].to_pylist()[:-1], 10**6], table.schema.field(at).type)
    pq.write_table(table.set_column(at, table.schema.field(at), last), path)

    with open_dump(tmp_path / "dump") as spoilt, pytest.raises(DumpError, match=f"{column} is 1000000; .*{expected}"):
        make_reverse(spoilt, tmp_path / "cache")

    assert list((tmp_path / "cache" / "reverse").iterdir()) == []


def test_progress_ends_with_all_row_groups(dump: Dump, tmp_path: Path):
    said: list[tuple[int, int]] = []
    make_reverse(dump, tmp_path / "cache", lambda done, of: said.append((done, of)))

    n = len(dump.exemplar_parts.index.rows)
    assert n > 5
    assert said == [(i + 1, n) for i in range(n)]


@dataclass
class InMemory:
    """Rows of image, feature and probability; every activation is 1."""

    starts: np.ndarray
    rows: np.ndarray

    def of(self, place: int) -> np.ndarray:
        return self.rows[self.starts[place] : self.starts[place + 1]]


def reverse_of(*rows: tuple[int, int, float]) -> InMemory:
    n_images = max(image for image, *_ in rows) + 1
    made = np.zeros(len(rows), ROW)
    for at, (image, feature, probability) in enumerate(sorted(rows)):
        made[at] = (image, feature, 1.0, probability, (0, 0, 0, 0))
    return InMemory(np.searchsorted(made["image"], np.arange(n_images + 1)), made)


def test_a_shared_image_counts_the_inverse_of_both_chances():
    reverse = reverse_of((0, 5, 0.5), (1, 5, 0.5), (0, 2, 1.0), (1, 2, 0.5))
    ids, n_active = np.array([2, 5]), np.array([8, 18])

    (near,) = cofiring(reverse, 2, [Stored(0, 1.0), Stored(1, 0.5)], ids, n_active, most=9)

    # 1 / (1 * 0.5) + 1 / (0.5 * 0.5) = 6 images of sqrt(8 * 18) = 12; the variance is 2 + 12.
    assert (near.feature, near.cosine, near.shared) == (5, 0.5, 2)
    assert near.low == pytest.approx(max(2, 6 - 1.645 * math.sqrt(14)) / 12)


def test_the_estimate_is_right_on_average_over_all_draws():
    p, q, both = 0.5, 0.25, 3
    ids, n_active = np.array([0, 1]), np.array([10**6, 10**6])
    expected = 0.0
    for stored in itertools.product([False, True], repeat=2 * both):
        mine, other = stored[:both], stored[both:]
        chance = math.prod(p if s else 1 - p for s in mine) * math.prod(q if s else 1 - q for s in other)
        rows = [(i, 0, p) for i in range(both) if mine[i]] + [(i, 1, q) for i in range(both) if other[i]]
        if rows:
            own = [Stored(i, p) for i in range(both) if mine[i]]
            expected += chance * sum(n.cosine for n in cofiring(reverse_of(*rows), 0, own, ids, n_active, most=1)) * 1e6

    assert expected == pytest.approx(both)


def test_an_estimate_is_no_larger_than_what_either_feature_fires_on():
    reverse = reverse_of((0, 0, 0.01), (0, 1, 0.01))

    (near,) = cofiring(reverse, 0, [Stored(0, 0.01)], np.array([0, 1]), np.array([4, 4]), most=1)

    assert (near.cosine, near.low) == (1.0, 0.25)


def test_many_certain_images_come_before_one_lucky_draw():
    certain = [(i, 1, 1.0) for i in range(5)]
    reverse = reverse_of(*certain, (5, 2, 0.01), *((i, 0, 1.0) for i in range(6)))
    own = [Stored(i, 1.0) for i in range(6)]

    found = cofiring(reverse, 0, own, np.array([0, 1, 2]), np.array([100, 100, 100]), most=2)

    assert [near.feature for near in found] == [1, 2]
    assert found[0].cosine < found[1].cosine


def test_the_likest_direction_comes_first_and_never_the_feature_itself():
    directions = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)

    found = alike_directions(directions, 0, most=2)

    assert [(f, round(cosine, 6)) for f, cosine in found] == [(2, 0.6), (1, 0.0)]
