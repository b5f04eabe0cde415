import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import SettingsError
from autointerp.schema import FeatureRow
from autointerp.shards.shards import cut, parse_shard

DEAD = (0, 1, 2, 7)
"""Of twelve features, those that fire on no image."""


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Dump:
    folder = tmp_path_factory.mktemp("cut") / "dump"
    info = DumpInfo(
        name="d",
        created="2026-01-31T12:00:00+00:00",
        created_by="tests",
        model="m",
        hookpoint="h",
        n_latents=12,
        widths=(12,),
        n_images=10,
        active_above=0.0,
    )
    with DumpWriter(folder, info) as writer:
        for i in range(12):
            writer.add_feature(FeatureRow(i, 12, 0 if i in DEAD else 5, 1.0, None, None), [])
    return open_dump(folder)


def test_each_shard_has_as_many_features_that_fire(dump: Dump):
    shards = cut(dump, np.arange(12), 4)

    assert [s.tolist() for s in shards] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9], [10, 11]]


def test_features_are_cut_lot_by_lot_as_they_are_at_once(dump: Dump, monkeypatch: pytest.MonkeyPatch):
    ids = np.array([0, 1, 3, 5, 6, 7, 10, 11])
    whole = [s.tolist() for s in cut(dump, ids, 3)]

    monkeypatch.setattr("autointerp.shards.shards.LOT", 3)

    assert [s.tolist() for s in cut(dump, ids, 3)] == whole


@given(chosen=st.sets(st.integers(0, 11)), n=st.integers(1, 15))
def test_shards_are_runs_of_neighbours_that_hold_each_feature_once(dump: Dump, chosen: set[int], n: int):
    ids = np.array(sorted(chosen), np.int64)

    shards = cut(dump, ids, n)

    assert len(shards) == n
    assert np.concatenate(shards).tolist() == ids.tolist()
    firing = [sum(i not in DEAD for i in s) for s in shards]
    assert max(firing) - min(firing) <= 1


def test_shards_are_counted_from_0():
    first, last = parse_shard("0/8"), parse_shard("7/8")

    assert [(s.index, s.of) for s in (first, last)] == [(0, 8), (7, 8)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8/8", "counted from 0, so here they are 0/8 to 7/8"),
        ("1", "write it as 0/8"),
        ("-1/8", "write it as 0/8"),
        ("0/0", "write it as 0/8"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, said: str):
    with pytest.raises(SettingsError, match=said):
        parse_shard(text)
