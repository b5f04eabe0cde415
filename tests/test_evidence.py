import dataclasses
from collections import Counter
from random import Random

import pytest
from builders import exemplars, feature, image_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.evidence import draw_shown, duplicate_keys, held_out, spread
from autointerp.schema import Feature
from autointerp.settings import ExplainSettings


def usual() -> Feature:
    """20 of the top, 10 in each of three bands, 12 silent and 6 guided ones."""
    return feature(
        (
            *exemplars("top", range(20), activation=9),
            *exemplars("q1", range(20, 30)),
            *exemplars("q2", range(30, 40)),
            *exemplars("q3", range(40, 50)),
            *exemplars("silent", range(100, 112), activation=0),
            *exemplars("guided", range(120, 126), activation=0),
        )
    )


def drawn(subject: Feature, *, groups: dict[int, str] | None = None, **how: object) -> tuple[list[int], list[int]]:
    images = image_rows({e.image for e in subject.exemplars}, groups=groups)
    shown = draw_shown(subject, images, ExplainSettings.model_validate(how))
    return [e.image for e in shown.active], [e.image for e in shown.contrast]


def kinds(images: list[int]) -> Counter[str]:
    strata = {e.image: e.stratum for e in usual().exemplars}
    return Counter(strata[i] for i in images)


def test_what_is_asked_for_is_shown_evenly_over_the_bands():
    active, contrast = drawn(usual(), n_top=8, n_bands=8, n_contrast=4)

    assert kinds(active) == {"top": 8, "q3": 3, "q2": 3, "q1": 2}
    assert kinds(contrast) == {"guided": 3, "silent": 1}


def test_at_most_half_of_each_stratum_is_shown():
    active, contrast = drawn(usual(), n_top=100, n_bands=100, n_contrast=100)

    assert kinds(active) == {"top": 10, "q3": 5, "q2": 5, "q1": 5}
    assert kinds(contrast) == {"guided": 3, "silent": 6}


@pytest.mark.parametrize(("stored", "shown"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_half_of_little_is_rounded_down(stored: int, shown: int):
    active, _ = drawn(feature(exemplars("top", range(stored))))

    assert len(active) == shown


def test_of_a_group_of_near_duplicates_one_is_shown_whatever_its_stratum():
    groups = dict.fromkeys([*range(0, 10), 20, 30, 100, 120], "same")

    for seed in range(30):
        active, contrast = drawn(usual(), groups=groups, seed=seed)

        assert len([i for i in (*active, *contrast) if i in groups]) <= 1


def test_images_without_a_group_are_each_alone():
    images = image_rows([1, 2, 3], groups={3: "1"})

    assert not duplicate_keys(images[1]) & duplicate_keys(images[2])
    assert not duplicate_keys(images[1]) & duplicate_keys(images[3])


def test_the_draw_depends_on_the_seed_and_the_feature_alone():
    shuffled = Feature(usual().row, tuple(Random(5).sample(usual().exemplars, len(usual().exemplars))))

    assert drawn(usual(), seed=1) == drawn(usual(), seed=1) == drawn(shuffled, seed=1)
    assert drawn(usual(), seed=1) != drawn(usual(), seed=2)
    assert drawn(feature(usual().exemplars, number=4), seed=1) != drawn(usual(), seed=1)


def test_the_highest_are_the_same_for_every_seed_and_the_drawn_ones_are_not():
    highest = [set(drawn(usual(), shown="highest", n_top=5, n_bands=0, seed=s)[0]) for s in range(5)]
    some = {frozenset(drawn(usual(), shown="drawn", n_top=5, n_bands=0, seed=s)[0]) for s in range(5)}

    assert highest == [{0, 1, 2, 3, 4}] * 5
    assert len(some) == 5


def test_every_top_image_is_equally_likely_to_be_shown():
    times = Counter(i for seed in range(2000) for i in drawn(usual(), n_top=8, n_bands=0, n_contrast=0, seed=seed)[0])

    assert set(times) == set(range(20))
    # 8 of 20 in 2000 draws are 800; a standard deviation is 22.
    assert all(690 < n < 910 for n in times.values())


def test_the_order_of_the_prompt_says_nothing_of_the_activation():
    first = Counter(drawn(usual(), seed=s)[0][0] < 20 for s in range(400))

    # Half of the 16 are from the top; a standard deviation is 10.
    assert 150 < first[True] < 250


def test_a_copy_of_a_shown_image_is_not_held_out_though_no_group_joins_them():
    subject = usual()
    images = image_rows([e.image for e in subject.exemplars], groups={7: "b", 40: "b"})
    for copy in (25, 40):
        images[copy] = dataclasses.replace(images[copy], sha256=images[0].sha256)

    left = {e.image for e in held_out(subject, images, shown=(0, 7))}

    assert {e.image for e in subject.exemplars} - left == {0, 7, 25, 40}


def test_a_copy_of_a_shown_image_is_not_held_out_though_the_dump_puts_it_in_another_group():
    subject = usual()
    images = image_rows([e.image for e in subject.exemplars], groups={0: "a", 40: "c"})
    images[40] = dataclasses.replace(images[40], sha256=images[0].sha256)

    left = {e.image for e in held_out(subject, images, shown=(0,))}

    assert {e.image for e in subject.exemplars} - left == {0, 40}


def test_of_two_copies_one_is_shown():
    subject = feature(exemplars("top", range(4)))
    images = {i: dataclasses.replace(row, sha256="0" * 64) for i, row in image_rows(range(4)).items()}

    shown = draw_shown(subject, images, ExplainSettings())

    assert len(shown.active) == 1


def test_what_was_shown_and_its_near_duplicates_are_not_held_out():
    subject = usual()
    images = image_rows([*(e.image for e in subject.exemplars), 999], groups={0: "a", 25: "a", 999: "b", 101: "b"})

    left = {e.image for e in held_out(subject, images, shown=(0, 31, 999))}

    assert {e.image for e in subject.exemplars} - left == {0, 25, 31, 101}


@settings(deadline=None)
@given(st.integers(0, 60), st.lists(st.integers(0, 12), max_size=6))
def test_shares_are_as_even_as_the_room_allows(n: int, room: list[int]):
    shares = spread(n, room)

    assert sum(shares) == min(n, sum(room))
    assert all(0 <= share <= most for share, most in zip(shares, room, strict=True))
    unfilled = [share for share, most in zip(shares, room, strict=True) if share < most]
    assert not unfilled or max(shares) <= min(unfilled) + 1


def test_the_first_places_get_what_is_left_over():
    assert spread(8, [5, 5, 5]) == [3, 3, 2]
    assert spread(8, [1, 9, 9]) == [1, 4, 3]


@pytest.mark.parametrize("how", ["highest", "drawn"])
def test_an_image_without_a_row_is_passed_over_and_the_next_one_stands_in(how: str):
    """Of a stratum one image more is drawn where one is gone; all others stay."""
    subject, settings = (
        usual(),
        ExplainSettings.model_validate({"n_top": 4, "n_bands": 3, "n_contrast": 4, "shown": how}),
    )
    images = image_rows({e.image for e in subject.exemplars})
    before = draw_shown(subject, images, settings)
    gone = next(e for e in before.active if e.stratum == "top")

    after = draw_shown(subject, {i: row for i, row in images.items() if i != gone.image}, settings)

    (new,) = {e.image for e in after.active} - {e.image for e in before.active}
    assert {e.image for e in before.active} - {e.image for e in after.active} == {gone.image}
    assert {e.image for e in after.contrast} == {e.image for e in before.contrast}
    strata = {e.image: e.stratum for e in subject.exemplars}
    assert strata[new] == "top"
    if how == "highest":
        order = sorted((e for e in subject.exemplars if e.stratum == "top"), key=lambda e: -e.activation)
        assert new == order[4].image


def test_an_image_without_a_row_is_not_held_out():
    subject = usual()
    images = image_rows({e.image for e in subject.exemplars if e.image != 3})

    assert {e.image for e in held_out(subject, images, [0])} == {e.image for e in subject.exemplars} - {0, 3}


def near_the_threshold(*shares: float) -> Feature:
    """As usual, with a threshold of 2 and guided images that reach these shares of it."""
    guided = [
        dataclasses.replace(e, silent_activation=2 * share)
        for e, share in zip(exemplars("guided", range(120, 120 + len(shares)), activation=0), shares, strict=True)
    ]
    return Feature(usual().row, (*usual().exemplars[:62], *guided), 2.0)


def test_contrast_images_come_from_well_below_the_threshold():
    subject = near_the_threshold(0, 0.2, 0.5, 0.51, 0.7, 0.9, 1.0)

    for seed in range(20):
        _, contrast = drawn(subject, seed=seed)
        _, all_silent = drawn(subject, seed=seed, silent_below=1, n_contrast=3)

        assert len(contrast) == 4
        assert {i for i in contrast if i >= 120} <= {120, 121, 122}
        assert len(all_silent) == len({i for i in all_silent if i >= 120}) == 3


def test_where_all_guided_images_are_near_the_threshold_uniform_ones_stand_in():
    _, contrast = drawn(near_the_threshold(*[0.9] * 6))

    assert len(contrast) == 4
    assert all(100 <= i < 112 for i in contrast)


def test_near_images_are_held_out_like_others():
    subject = near_the_threshold(0.9, 0.1)

    assert {120, 121} <= {e.image for e in held_out(subject, image_rows(e.image for e in subject.exemplars), [0])}


def test_places_that_the_bands_leave_unused_go_to_the_top_and_half_of_it_is_still_held_out():
    few = feature((*exemplars("top", range(24), activation=9), *exemplars("q1", range(24, 28))))
    copies = dict.fromkeys(range(24, 28), "same")

    def of_each(groups: dict[int, str] | None = None, **how: object) -> tuple[int, int]:
        shown, _ = drawn(few, groups=groups, **how)
        return sum(i < 24 for i in shown), sum(i >= 24 for i in shown)

    assert of_each(n_top=8, n_bands=8) == (12, 2)
    assert of_each(n_top=8, n_bands=4) == (10, 2)
    assert of_each(n_top=8, n_bands=4, groups=copies) == (11, 1)
    assert of_each(n_top=8, n_bands=8, refill=False) == (8, 2)
    assert of_each(n_top=0, n_bands=8) == (0, 2)
