import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from builders import exemplars
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError
from autointerp.images.picture import Picture
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Feature, FeatureRow, PoolRow
from autointerp.scoring.adaptive_sampling import columns
from autointerp.scoring.embedder import Vectors
from autointerp.scoring.judge import Judgements
from autointerp.scoring.sampling import Pool, make_pool
from autointerp.scoring.text_guide import TextGuide, class_ends, classes_of, ranks, ranks_by
from autointerp.settings import RegionSettings, ScoreSettings

N = 1000
ACTIVE, POOL, LABEL = range(20), range(500, 700), (510, 520, 530, 540)
"""The feature fires on 20 of 1,000 images. Images 500 to 699 are the pool; a label that it knows nothing of is on 4."""


def test_classes_reach_four_times_as_far_each_up_to_a_quarter_of_the_images():
    assert class_ends(2048).tolist() == [8, 32, 128, 512]
    assert class_ends(200).tolist() == [8, 32]
    assert class_ends(100).tolist() == [8]


def test_an_image_belongs_to_the_class_of_the_better_of_its_two_ranks():
    one = np.array([np.inf] * 90 + [0, 1, 2, 3] + [np.inf] * 6)
    other = np.arange(100.0)[::-1]

    classes = classes_of(one, other)

    # The four first of each order, of which none is in both: 90 to 93, and 96 to 99.
    assert [i for i, number in enumerate(classes) if number == 0] == [90, 91, 92, 93, 96, 97, 98, 99]


def test_ranks_leave_out_what_an_order_or_an_embedder_does_not_know():
    assert ranks([7, 8, 9], [9, 7]).tolist() == [1, np.inf, 0]
    assert ranks_by(np.array([0.1, np.nan, 0.7])).tolist() == [1, np.inf, 0]


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    """Of one feature, with a pool of 200 of 1,000 images; of the pool it fires on 699 and nearly fires on 698."""
    info = DumpInfo(
        name="d",
        created="2026-01-01T00:00:00+00:00",
        created_by="test",
        model="m",
        hookpoint="h",
        n_latents=8,
        widths=(8,),
        n_images=N,
        active_above=0.5,
    )
    (tmp_path / "files").mkdir()
    with DumpWriter(tmp_path / "dump", info, pooled=True) as writer:
        for image in (*ACTIVE, *POOL):
            path = tmp_path / "files" / f"{image}.png"
            Image.new("RGB", (8, 8), (image % 256, image // 256, 0)).save(path)
            writer.add_image(image, path=path, pool=image in POOL)
        row = FeatureRow(3, 8, 21, 2.0, None, None)
        rows = (*exemplars("top", ACTIVE), *exemplars("silent", range(500, 508), activation=0.0, probability=0.008))
        writer.add_feature(row, rows, PoolRow({699: 0.75, 698: 0.4}, (690, 691, 692, 693)))
    return open_dump(tmp_path / "dump", allow_outside=True)


class Planted:
    """An embedder to which images of the label, and a text that names it, are one thing, and all else another."""

    name = "planted"

    def __init__(self, broken: Sequence[int] = (), failure: str = "image", longer: Sequence[int] = ()) -> None:
        self.broken = set(broken)
        self.longer = set(longer)
        self.failure = failure
        self.n_pictures = 0

    async def pictures(self, pictures: Sequence[Picture]) -> Vectors | Failure:
        ids = [tile.image for picture in pictures for tile in picture.tiles]
        if self.broken & set(ids):
            return Failure(self.failure, "it is broken", 1)
        self.n_pictures += len(ids)
        padding = [0.0] if self.longer & set(ids) else []
        return np.array([[float(i in LABEL), float(i not in LABEL), *padding] for i in ids], np.float32)

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        return np.array([[float("label" in t), float("label" not in t)] for t in texts], np.float32)


def guided(dump: Dump, embedder: Planted, texts: Sequence[str], *, seen: Sequence[int] = (), **settings: object):
    feature = dump.feature(3)
    score = ScoreSettings.model_validate({"n_active": 10, "n_silent": 24, **settings})
    rows = {i: dump.image(i) for i in {e.image for e in feature.exemplars} | set(seen)}
    plain = make_pool(feature, seen, rows, score, grid=None, n_images=N)
    guide = TextGuide(dump, embedder, RegionSettings(), score.silent_below)
    found = asyncio.run(guide.guided(plain, seen, texts))
    assert isinstance(found, Pool), found
    return found


def test_the_images_that_the_text_names_are_all_judged_and_each_class_stands_for_its_share(dump: Dump):
    pool = guided(dump, Planted(), ["a label"])
    items = pool.draw(10, 24).silent

    assert {i.exemplar.image for i in items} >= {*LABEL, 690, 691, 692, 693}
    # 199 of the pool are silent and stand for the 979 images that do not fire it; the first class is judged whole.
    assert [round(i.weight, 9) for i in items if i.likeness == 0] == [round(979 / 199, 9)] * 8
    for number, size in ((0, 8), (1, 24), (2, 167)):
        own = [i.weight for i in items if i.likeness == number]
        assert len(own) == 8
        assert sum(own) == pytest.approx(979 * size / 199)


def test_what_fits_is_estimated_without_bias_though_it_is_sought(dump: Dump):
    """Of the 199 silent images of the pool 5 carry what is counted: 3 in the first class, 2 in the last."""
    counted = {510, 520, 530, 601, 602}
    found = []
    for seed in range(100):
        pool = guided(dump, Planted(), ["a label"], seed=seed)
        found.append(sum(i.weight for i in pool.draw(10, 24).silent if i.exemplar.image in counted))

    truth = 979 * 5 / 199
    assert np.mean(found) == pytest.approx(truth, abs=3 * np.std(found) / 100**0.5)
    assert np.std(found) > 0


def test_images_that_were_shown_are_not_judged_and_their_class_still_stands_for_them(dump: Dump):
    pool = guided(dump, Planted(), ["a label"], seen=(510, 690))
    items = pool.draw(10, 24).silent

    assert not {510, 690} & {i.exemplar.image for i in items}
    assert sum(i.weight for i in items if i.likeness == 0) == pytest.approx(979 * 8 / 199)


def test_an_image_near_the_threshold_stays_out_and_one_that_fires_is_no_candidate(dump: Dump):
    everything = guided(dump, Planted(), ["a label"])
    without = guided(dump, Planted(), ["a label"], silent_below=0.5)

    assert 699 not in everything.classes
    assert 698 in {e.image for e in everything.silent}
    assert 698 not in {e.image for e in without.silent}
    assert without.margin_share == pytest.approx(1 / 199)


def test_of_several_texts_the_one_that_an_image_is_most_like_counts(dump: Dump):
    pool = guided(dump, Planted(), ["something else", "a label"])

    # Every image is like one of the two, so that nothing but the activations tells them apart.
    assert {pool.classes[i] for i in (690, 691, 692, 693)} == {0}


def test_an_image_that_cannot_be_embedded_costs_no_other_its_rank(dump: Dump):
    pool = guided(dump, Planted(broken=[505]), ["a label"])

    assert [pool.classes[i] for i in LABEL] == [0] * 4
    assert pool.classes[505] == 2


def test_a_failure_that_may_pass_is_handed_on(dump: Dump):
    feature = dump.feature(3)
    rows = {e.image: dump.image(e.image) for e in feature.exemplars}
    plain = make_pool(feature, (), rows, ScoreSettings(), grid=None, n_images=N)
    guide = TextGuide(dump, Planted(broken=[505], failure="timeout"), RegionSettings())

    assert asyncio.run(guide.guided(plain, (), ["a label"])) == Failure("timeout", "it is broken", 1)


@pytest.mark.parametrize("longer", [(699, 690), POOL], ids=["of some pictures", "of all pictures"])
def test_vectors_of_another_length_are_a_failure(dump: Dump, longer: Sequence[int]):
    feature = dump.feature(3)
    rows = {e.image: dump.image(e.image) for e in feature.exemplars}
    plain = make_pool(feature, (), rows, ScoreSettings(), grid=None, n_images=N)
    guide = TextGuide(dump, Planted(longer=longer), RegionSettings())

    found = asyncio.run(guide.guided(plain, (), ["a label"]))

    said = "pictures have vectors of 3 numbers, and texts of 2; name another --cache"
    assert found == Failure("malformed", said, 1)


def test_a_pool_that_has_a_feature_silent_where_its_rows_have_it_fire_is_damaged(dump: Dump):
    row = FeatureRow(3, 8, 21, 2.0, None, None)
    active = exemplars("top", [*ACTIVE, 601])
    feature = Feature(row, active, 0.5)
    rows = {e.image: dump.image(e.image) for e in active}
    plain = make_pool(feature, (), rows, ScoreSettings(), grid=None, n_images=N)
    guide = TextGuide(dump, Planted(), RegionSettings())

    with pytest.raises(DumpError, match=r"pool\.parquet: feature 3 is silent on image 601, which exemplars\.parquet"):
        asyncio.run(guide.guided(plain, (), ["a label"]))


def test_the_pool_is_embedded_once_for_all_features(dump: Dump):
    embedder = Planted()
    feature = dump.feature(3)
    rows = {e.image: dump.image(e.image) for e in feature.exemplars}
    plain = make_pool(feature, (), rows, ScoreSettings(), grid=None, n_images=N)
    guide = TextGuide(dump, embedder, RegionSettings())

    async def twice() -> None:
        await asyncio.gather(guide.guided(plain, (), ["a label"]), guide.guided(plain, (), ["another"]))

    asyncio.run(twice())
    assert embedder.n_pictures == 199


def test_without_a_pool_the_features_own_silent_rows_are_ordered(dump: Dump):
    dump.pool = None
    pool = guided(dump, Planted(), ["a label"])

    assert sorted(pool.classes) == list(range(500, 508))


def test_classes_of_the_pool_widen_the_interval_by_what_the_pool_leaves_to_chance(dump: Dump):
    """Each class knows how many images of the pool it was cut from, shown ones among them."""
    pool = guided(dump, Planted(), ["a label"], seen=(510,))
    items = pool.draw(10, 24).items
    said = Judgements(items, tuple(float(i.active) for i in items), usage=None, model="m", looked=pool.class_sizes)  # type: ignore[arg-type]

    judged = columns(said)

    silent = judged.active == 0
    assert len(set(judged.phase[silent].tolist())) == 3
    assert sorted(set(judged.looked[silent].tolist())) == [8, 24, 167]


def test_adaptive_judging_goes_on_with_the_classes(dump: Dump):
    pool = guided(dump, Planted(), ["a label"])
    first, more = pool.sample({"alike 0": 4}), pool.sample({"alike 0": 6})

    assert {i.exemplar.image for i in first.items} < {i.exemplar.image for i in more.items}


def test_where_the_pool_leaves_too_few_silent_images_the_feature_keeps_its_own_rows(dump: Dump):
    pool = guided(dump, Planted(), ["a label"], seen=[i for i in POOL if i >= 508], min_silent=9)

    # Of the pool 508 to 699 were shown, so that 8 of it are left.
    assert sorted(pool.classes) == list(range(500, 508))
    assert sum(i.weight for i in pool.draw(10, 24).silent) == pytest.approx(979)


def test_a_feature_without_a_row_in_the_pool_keeps_its_own_rows(dump: Dump):
    row = FeatureRow(5, 8, 21, 2.0, None, None)
    rows = (*exemplars("top", ACTIVE), *exemplars("silent", range(500, 510), activation=0.0, probability=0.01))
    guide = TextGuide(dump, Planted(), RegionSettings())
    feature = Feature(row, rows, 0.5)
    plain = make_pool(feature, (), {e.image: dump.image(e.image) for e in rows}, ScoreSettings(), grid=None, n_images=N)

    found = asyncio.run(guide.guided(plain, (), ["a label"]))

    assert isinstance(found, Pool)
    assert sorted(found.classes) == list(range(500, 510))
