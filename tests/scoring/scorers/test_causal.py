"""What `causal` makes of a network that is scripted: which pictures fire the feature is the test's own."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import image_rows
from trial import ByImage, make_case

from autointerp.images.alteration import Alteration
from autointerp.lmm.cache import Cache
from autointerp.schema import Box, Exemplar, Feature, FeatureRow, Scored, Unscored
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.encoder import Donor
from autointerp.scoring.scorers.causal import CAUSAL

BOX = Box(0, 0, 32, 24)
"""A quarter of an image of 64 x 48 pixels."""
REGION = Box(0, 0, 37, 32)
"""The same with the context that crops have."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


class Scripted:
    """Gives each picture the activation that the test says."""

    name = "coder on backbone"

    def __init__(self, level: Callable[[Alteration], float]) -> None:
        self.level = level
        self.asked: list[Alteration] = []

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(size[0]), float(size[1])

    async def activations(self, pictures: Sequence[Alteration], feature: int) -> np.ndarray:
        self.asked += pictures
        return np.array([self.level(what) for what in pictures], np.float64)


def own(what: Alteration) -> bool:
    return what.box == REGION


def subject(n: int = 8, box: Box | None = BOX) -> Feature:
    """Fires at 2.0 above 1.0 on images 0, 1, …, is silent on 100 … 109."""
    active = [Exemplar(i, 2.0, "top", 1.0, box, None) for i in range(n)]
    silent = [Exemplar(i, 0.0, "silent", 0.1, None, None) for i in range(100, 110)]
    return Feature(FeatureRow(3, 8, n, 2.0, None, None), (*active, *silent), active_above=1.0)


def case_with(cache: Cache, encoder: Scripted, about: Feature | None = None) -> Case:
    case = make_case(
        cache, ByImage(lambda _: "no"), about=about or subject(), settings={"n_causal": 8}, scorers=("causal",)
    )
    return replace(case, encoder=encoder)


def scored(case: Case) -> Scored:
    found = outcome(case)
    assert isinstance(found, Scored), found
    return found


def outcome(case: Case) -> Outcome:
    return asyncio.run(CAUSAL(case))


def local(what: Alteration) -> float:
    """The cause lies in the region: what holds it fires, what lost it does not."""
    if what.kind in ("crop", "paste"):
        return 2.0 if own(what) else 0.0
    return 0.0 if own(what) else 2.0


def test_where_the_cause_is_in_the_region_it_suffices_and_is_needed(cache: Cache):
    found = scored(case_with(cache, Scripted(local)))

    assert (found.value, found.high, found.n) == (1.0, 1.0, 8)
    assert found.low > 0.6
    assert [found.details[name] for name in ("necessity", "kept", "kept_without", "pasted")] == [1.0, 1.0, 0.0, 1.0]
    controls = {name: control.value for name, control in found.controls.items()}
    assert controls == {"elsewhere": 0.0, "erased_elsewhere": 0.0, "pasted_elsewhere": 0.0}
    assert found.details["p_elsewhere"] == pytest.approx(2 / 2**8)


def test_where_the_cause_lies_elsewhere_the_region_neither_suffices_nor_is_needed(cache: Cache):
    found = scored(case_with(cache, Scripted(lambda what: 2.0 if what.kind in ("mean", "blur", "inpaint") else 0.0)))

    assert (found.value, found.details["necessity"], found.details["pasted"]) == (0.0, 0.0, 0.0)


def test_the_ways_to_take_a_region_away_are_told_apart(cache: Cache):
    found = scored(case_with(cache, Scripted(lambda what: 2.0 if what.kind == "blur" else 0.0)))

    assert found.details["necessity_mean"] == found.details["necessity_inpaint"] == 1.0
    assert (found.details["necessity_blur"], found.details["necessity_spread"]) == (0.0, 1.0)
    assert found.details["necessity"] == pytest.approx(2 / 3)


def test_at_the_threshold_the_feature_does_not_fire_and_half_is_kept(cache: Cache):
    found = scored(case_with(cache, Scripted(lambda _: 1.0)))

    assert (found.value, found.details["kept"]) == (0.0, 0.5)


def test_each_image_counts_for_as_many_as_it_stands_for(cache: Cache):
    rows = [Exemplar(i, 2.0, "top", 1.0, BOX, None) for i in range(4)]
    rows += [Exemplar(i, 1.5, "q1", 0.1, BOX, None) for i in range(4, 8)]
    about = replace(subject(), row=FeatureRow(3, 8, 44, 2.0, None, None), exemplars=(*rows, *subject().negatives))

    found = scored(case_with(cache, Scripted(lambda what: 2.0 if what.source.image < 4 else 0.0), about))

    # The four of the top stand for themselves, those of the band for ten each.
    assert found.value == pytest.approx(4 / 44)
    assert [v.belief for v in sorted(found.verdicts, key=lambda v: v.image)] == [1.0] * 4 + [0.0] * 4


def test_images_whose_region_is_all_of_them_are_left_out_and_counted(cache: Cache):
    whole = Exemplar(8, 2.0, "top", 1.0, Box(0, 0, 64, 48), None)
    about = replace(subject(), exemplars=(*subject().exemplars, whole), row=FeatureRow(3, 8, 9, 2.0, None, None))
    case = make_case(cache, ByImage(lambda _: "no"), about=about, settings={"n_causal": 20}, scorers=("causal",))

    found = scored(replace(case, encoder=Scripted(local)))

    assert (found.n, found.details["whole"]) == (8, 1)


def test_without_enough_regions_there_is_no_score_but_a_reason(cache: Cache):
    found = outcome(case_with(cache, Scripted(local), subject(8, Box(0, 0, 64, 48))))

    assert isinstance(found, Unscored)
    assert found.reason.startswith("0 held-out active images have a region smaller than the image, 5 are needed")


def test_an_image_of_which_a_picture_cannot_be_made_is_left_out_and_counted(cache: Cache):
    broken = Scripted(lambda what: np.nan if what.source.image == 3 else local(what))

    found = scored(case_with(cache, broken))

    assert (found.n, found.details["missing"]) == (7, 1)
    assert 3 not in {one.image for one in found.reencoded}


def test_what_was_made_of_each_image_is_kept(cache: Cache):
    found = scored(case_with(cache, Scripted(local)))

    one = found.reencoded[0]
    assert (one.box, one.activation, one.crop, one.mean, one.pasted) == ((0, 0, 37, 32), 2.0, 2.0, 0.0, 2.0)
    assert one.into in range(100, 110)
    assert one.at == one.box
    assert one.elsewhere is not None


def test_regions_of_another_feature_are_a_control(cache: Cache):
    other = tuple(Exemplar(i, 5.0, "top", 1.0, BOX, None) for i in range(50, 54))
    donor = Donor(replace(subject(), exemplars=other), other, image_rows(range(50, 54)))
    encoder = Scripted(lambda what: 2.0 if what.source.image in (*range(8), 50) else 0.0)

    found = scored(replace(case_with(cache, encoder), donor=donor))

    control = found.controls["other_region"]
    assert (control.value, control.n) == (0.25, 4)


def test_the_same_pictures_are_asked_for_each_time(cache: Cache):
    first, second = Scripted(local), Scripted(local)

    one, two = scored(case_with(cache, first)), scored(case_with(cache, second))

    assert [what.digest for what in first.asked] == [what.digest for what in second.asked]
    assert len(first.asked) == 8 * 10
    assert one.model_copy(update={"created": ""}) == two.model_copy(update={"created": ""})
