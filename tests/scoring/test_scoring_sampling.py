from collections import Counter
from random import Random

import numpy as np
import pytest
from builders import exemplars, explanation, feature, image_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.schema import Box, Exemplar, Feature
from autointerp.scoring.sampling import Item, Sample, allotted, calls, make_pool
from autointerp.settings import ScoreSettings

TOP, Q1, Q2, SILENT, GUIDED = range(0, 20), range(20, 30), range(30, 40), range(100, 140), range(140, 170)


def usual() -> Feature:
    """It fires on 20 + 40 + 100 = 160 of 1000 images: all of the top are stored, of q1 and q2 a quarter and a tenth."""
    rows = (
        *exemplars("top", TOP, activation=9),
        *exemplars("q1", Q1, probability=0.25),
        *exemplars("q2", Q2, activation=3, probability=0.1),
        *exemplars("silent", SILENT, probability=40 / 840),
        *exemplars("guided", GUIDED, probability=0.5),
    )
    return feature(rows, n_active=160)


def drawn(
    subject: Feature,
    *,
    shown: tuple[int, ...] = (),
    groups: dict[int, str] | None = None,
    n_images: int = 1000,
    **how: object,
) -> Sample:
    images = image_rows({e.image for e in subject.exemplars} | set(shown), groups=groups)
    wanted = ScoreSettings.model_validate({"n_active": 24, "n_silent": 36, **how})
    pool = make_pool(subject, explanation(images=shown).seen, images, wanted, grid=None, n_images=n_images)
    return pool.draw(wanted.n_active, wanted.n_silent)


def ids(sample: Sample) -> set[int]:
    return {i.exemplar.image for i in sample.items}


def test_as_many_are_judged_as_asked_for_active_ones_by_mass_and_silent_ones_mostly_guided():
    sample = drawn(usual())

    assert (len(sample.active), len(sample.silent)) == (24, 36)
    counts = Counter(i.exemplar.stratum for i in sample.items)
    # The strata stand for 20, 40 and 100 images. q2 has ten; the other 14 go one to two.
    assert counts == {"top": 5, "q1": 9, "q2": 10, "silent": 12, "guided": 24}


def test_strata_of_little_mass_are_judged_on_a_few_images_and_the_others_by_mass():
    # 24 of 6000, as a stratum `top` is, and four bands of 1494: three, then 21 over the bands.
    room = {"top": 16, "q1": 8, "q2": 8, "q3": 8, "q4": 8}
    mass = {"top": 24.0} | dict.fromkeys(("q1", "q2", "q3", "q4"), 1494.0)

    assert allotted(24, room, mass) == {"top": 3, "q1": 6, "q2": 5, "q3": 5, "q4": 5}
    # What the bands lack goes to the top, and no stratum gets more than it has.
    assert allotted(48, room, mass) == {"top": 16, "q1": 8, "q2": 8, "q3": 8, "q4": 8}
    assert allotted(5, room, mass) == dict.fromkeys(room, 1)


def test_what_one_stratum_lacks_the_others_give():
    sample = drawn(usual(), n_active=36, n_silent=66)

    counts = Counter(i.exemplar.stratum for i in sample.items)
    assert counts == {"top": 16, "q1": 10, "q2": 10, "silent": 36, "guided": 30}


def test_weights_add_up_to_the_images_that_fire_and_those_that_do_not():
    sample = drawn(usual())

    assert sum(i.weight for i in sample.active) == pytest.approx(160)
    assert sum(i.weight for i in sample.silent) == pytest.approx(840)


def test_a_judged_image_stands_for_its_share_of_its_stratum():
    sample = drawn(usual())

    weights = {i.exemplar.stratum: i.weight for i in sample.active}
    assert weights == pytest.approx({"top": 20 / 5, "q1": 40 / 9, "q2": 100 / 10})


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers(0, 9))
def test_weights_add_up_whatever_is_stored(n_top: int, n_band: int, n_silent: int, n_guided: int, seed: int):
    rows = (
        *exemplars("top", range(n_top)),
        *exemplars("q3", range(20, 20 + n_band), probability=0.3),
        *exemplars("silent", range(40, 40 + n_silent), probability=0.01),
        *exemplars("guided", range(60, 60 + n_guided), probability=0.5),
    )

    sample = drawn(feature(rows), seed=seed, n_active=7, n_silent=7)

    assert len(sample.active) == min(7, n_top + n_band)
    assert len(sample.silent) == min(7, n_silent + n_guided)
    assert sum(i.weight for i in sample.active) == pytest.approx(100 if sample.active else 0)
    assert sum(i.weight for i in sample.silent) == pytest.approx(900 if sample.silent else 0)


def test_neither_a_shown_image_nor_its_near_duplicate_is_ever_judged():
    groups = {0: "a", 1: "a", 100: "a", 21: "b", 22: "b"}
    shown = (0, 21, 101, 555)

    for seed in range(50):
        judged = ids(drawn(usual(), shown=shown, groups=groups, seed=seed, n_active=40, n_silent=70))

        assert not judged & {0, 1, 100, 21, 22, 101}
        assert len(judged) == 110 - 6


def test_the_draw_depends_on_the_seed_and_the_feature_alone():
    one, same, other = drawn(usual(), seed=1), drawn(usual(), seed=1), drawn(usual(), seed=2)
    shuffled = Feature(usual().row, tuple(Random(5).sample(usual().exemplars, len(usual().exemplars))))

    assert one == same
    assert ids(one) != ids(other)
    assert [i.exemplar for i in drawn(shuffled, seed=1).items] == [i.exemplar for i in one.items]


def test_the_weighted_totals_are_unbiased():
    """Of the 1000 images a judge says yes to fixed ones: the totals over many draws of rows and of judged average out.

    Silent images are drawn twice: uniformly, and by likeness, where each has a chance of its own.
    """
    rng = np.random.default_rng(0)
    yes = rng.random(1000) < np.where(np.arange(1000) < 160, 0.8, 0.1)
    band = np.repeat(["top", "q1", "q2"], [20, 40, 100])
    chance = {"top": 1.0, "q1": 0.25, "q2": 0.15}
    likeness = np.where(yes[160:], 0.15, 0.05)
    hits, false = [], []
    for seed in range(600):
        uniform = rng.choice(np.arange(160, 1000), 60, replace=False)
        guided = 160 + np.flatnonzero(rng.random(840) < likeness)
        rows = [
            Exemplar(i, 2.0, str(s), chance[str(s)], None, None)
            for i, s in enumerate(band)
            if rng.random() < chance[str(s)]
        ]
        # One image has one row; an image in both draws is counted with the chance of either.
        for i in sorted({*uniform.tolist(), *guided.tolist()}):
            either = 1 - (1 - 60 / 840) * (1 - likeness[i - 160])
            rows.append(Exemplar(i, 0.0, "silent" if i in uniform else "guided", float(either), None, None))
        sample = drawn(feature(rows, n_active=160), seed=seed, n_active=24, n_silent=36)
        hits.append(sum(i.weight for i in sample.active if yes[i.exemplar.image]))
        false.append(sum(i.weight for i in sample.silent if yes[i.exemplar.image]))

    for totals, truth in ((hits, yes[:160].sum()), (false, yes[160:].sum())):
        error = np.std(totals) / np.sqrt(len(totals))
        # Four standard errors, and the small bias of a ratio.
        assert abs(np.mean(totals) - truth) < 4 * error + 0.02 * truth


SIXTY = drawn(usual()).items


@settings(deadline=None)
@given(st.integers(0, 130), st.integers(1, 20))
def test_calls_are_nearly_equally_long_and_hold_all(n: int, per_call: int):
    items = [SIXTY[i % 60] for i in range(n)]

    cut = calls(items, per_call)

    assert [item for call in cut for item in call] == items
    assert len(cut) == -(-n // per_call)
    lengths = {len(call) for call in cut}
    assert not lengths or (max(lengths) <= per_call and max(lengths) - min(lengths) <= 1)


def test_active_and_silent_are_mixed_over_the_calls():
    cut = calls(drawn(usual()).items, 12)

    assert [len(call) for call in cut] == [12] * 5
    shares = [sum(item.active for item in call) for call in cut]
    assert sum(shares) == 24
    assert len(set(shares)) > 1


def test_silent_crops_follow_the_places_and_sizes_of_active_ones():
    rows = [Exemplar(i, 2.0, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(10)]
    rows += [Exemplar(100 + i, 0.0, "silent", 1.0, None, None) for i in range(10)]

    sample = drawn(feature(rows), n_active=5, n_silent=5, rendering="crop")

    boxes: dict[bool, set[Box | None]] = {}
    for item in sample.items:
        boxes.setdefault(item.active, set()).add(item.tile.box)
    assert boxes[True] == boxes[False]
    assert None not in boxes[True]
    assert {item.tile.rendering for item in sample.items} == {"crop"}


def test_an_item_knows_whether_the_feature_fires():
    rows = {e.stratum: e for e in usual().exemplars}
    tile = drawn(usual()).items[0].tile

    assert [Item(rows[s], tile, 1.0).active for s in ("top", "q1", "silent", "guided")] == [True, True, False, False]


def boxed() -> Feature:
    """Regions of active images, and silent images without any of their own."""
    rows = [Exemplar(i, 2.0, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(10)]
    rows += [Exemplar(100 + i, 0.0, "silent", 1.0, None, None) for i in range(10)]
    return feature(rows)


def test_by_default_every_image_is_shown_whole_and_unmarked():
    sample = drawn(boxed(), n_active=5, n_silent=5)

    assert {(i.tile.rendering, i.tile.box, i.tile.heat, i.enlarged) for i in sample.items} == {
        ("full", None, None, None)
    }


def test_zoom_adds_to_each_whole_image_a_place_of_the_same_size():
    sample = drawn(boxed(), n_active=5, n_silent=5, rendering="zoom")

    assert {i.tile.rendering for i in sample.items} == {"full"}
    places = {side: {i.enlarged.box for i in sample.items if i.enlarged and i.active == side} for side in (True, False)}
    assert places[True] == places[False] != {None}


@pytest.mark.parametrize("heat", [None, bytes(4)])
def test_an_all_zero_heat_map_of_a_silent_image_is_no_region_of_its_own(heat: bytes | None):
    rows = [Exemplar(i, 2.0, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(10)]
    rows += [Exemplar(100 + i, 0.0, "silent", 1.0, None, heat) for i in range(10)]
    subject = feature(rows)
    images = image_rows({e.image for e in rows})
    wanted = ScoreSettings(rendering="crop")

    pool = make_pool(subject, explanation(images=()).seen, images, wanted, grid=(2, 2), n_images=1000)

    tiles = {pool.tile(e) for e in pool.silent}
    assert {(t.rendering, t.heat) for t in tiles} == {("crop", None)}
    assert {t.box for t in tiles} == {pool.tile(e).box for e in pool.active}


@pytest.mark.parametrize(("asked", "shown"), [("full", "crop"), ("zoom", "crop"), ("outline", "outline")])
def test_scorers_that_compare_regions_are_shown_regions(asked: str, shown: str):
    subject = boxed()
    images = image_rows({e.image for e in subject.exemplars})
    wanted = ScoreSettings.model_validate({"rendering": asked})

    pool = make_pool(subject, explanation(images=()).seen, images, wanted, grid=None, n_images=1000)

    assert {pool.region_tile(e).rendering for e in pool.active} == {shown}
