import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from builders import exemplars, explanation, feature, image_rows, several
from hypothesis import given, settings
from hypothesis import strategies as st
from trial import ByImage, make_case, scored

from autointerp.images.picture import Picture
from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import Failure
from autointerp.schema import Explanation, Feature, Unscored
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.embedder import Vectors
from autointerp.scoring.embedding_statistics import (
    Crops,
    Floats,
    alike,
    auroc_interval,
    centred,
    monosemanticity,
    p_of_labels,
    weighted_auroc,
)
from autointerp.scoring.scorers.embedding import EMBEDDING
from autointerp.statistics.resampling import Draws


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


def units(rng: np.random.Generator, n: int, d: int = 8, *, around: float = 0.0) -> Floats:
    """Unit vectors; `around` pulls them to the first axis."""
    raw = rng.normal(size=(n, d))
    raw[:, 0] += around
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def crops(vectors: Floats, weight: Floats | None = None, group: Sequence[int] | None = None) -> Crops:
    n = len(vectors)
    weight = np.ones(n) if weight is None else weight
    return Crops(vectors, weight, weight, np.array(group if group is not None else range(n), np.int64))


def slow_monosemanticity(vectors: Floats, weight: Floats, group: Sequence[int]) -> float:
    total = mass = 0.0
    for i in range(len(vectors)):
        for j in range(len(vectors)):
            if group[i] != group[j]:
                total += weight[i] * weight[j] * float(vectors[i] @ vectors[j])
                mass += weight[i] * weight[j]
    return total / mass


@settings(deadline=None)
@given(st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_monosemanticity_is_the_mean_over_all_pairs_of_different_groups(n: int, seed: int):
    rng = np.random.default_rng(seed)
    vectors, weight = units(rng, n), rng.uniform(0.01, 5, n)
    _, group = np.unique(rng.integers(0, n, n), return_inverse=True)
    if group.max() == 0:
        group[-1] = 1

    found = monosemanticity(vectors, weight, group)

    assert found == pytest.approx(slow_monosemanticity(vectors, weight, group.tolist()), abs=1e-9)


def test_orthogonal_crops_are_not_alike_and_equal_ones_wholly():
    each = np.arange(3)

    assert monosemanticity(np.eye(3), np.array([1.0, 2.0, 3.0]), each) == pytest.approx(0.0)
    assert monosemanticity(np.ones((3, 4)) / 2, np.array([1.0, 2.0, 3.0]), each) == pytest.approx(1.0)


def test_copies_of_one_image_are_no_evidence_of_likeness():
    vectors = np.eye(2)[[0, 0, 1]]

    assert monosemanticity(vectors, np.ones(3), np.arange(3)) == pytest.approx(1 / 3)
    assert monosemanticity(vectors, np.ones(3), np.array([0, 0, 1])) == pytest.approx(0.0)
    assert np.isnan(monosemanticity(vectors, np.ones(3), np.zeros(3, np.int64)))


def test_a_crop_drawn_twice_by_the_bootstrap_is_no_pair():
    # Orthogonal crops stay orthogonal in every replicate; with copies counted the interval would lie above 0.
    found = alike(crops(np.eye(12)), Draws(500, 0))

    assert (found.value, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_intervals_of_monosemanticity_hold_the_truth():
    rng = np.random.default_rng(0)
    many = units(rng, 4000, around=3.0)
    truth = monosemanticity(many, np.ones(4000), np.arange(4000))

    held = 0
    for seed in range(400):
        found = alike(crops(units(rng, 24, around=3.0)), Draws(300, seed))
        held += found.low <= truth <= found.high

    assert 0.89 < held / 400 < 0.98


def test_labels_of_crops_of_one_kind_are_told_from_any_others():
    rng = np.random.default_rng(1)
    kind, others = units(rng, 12, around=3.0), units(rng, 20)

    assert p_of_labels(crops(kind), crops(others), Draws(199, 0)) == 1 / 200
    assert p_of_labels(crops(units(rng, 12)), crops(others), Draws(199, 0)) > 0.05


def test_p_values_are_uniform_where_active_crops_are_like_any_others():
    rng = np.random.default_rng(2)

    p = [
        p_of_labels(crops(units(rng, 10, around=2)), crops(units(rng, 10, around=2)), Draws(99, i)) for i in range(300)
    ]

    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert 0.42 < np.mean(p) < 0.58


def test_centring_takes_off_what_is_common():
    assert centred(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(np.array([[1, -1], [-1, 1]]) / np.sqrt(2))
    assert centred(np.array([[0.6, 0.8]]), np.array([[0.6, 0.8]])).tolist() == [[0.0, 0.0]]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_auroc_is_the_share_of_pairs_won_with_ties_half(active: list[int], silent: list[int]):
    by_active, by_silent = np.arange(1.0, len(active) + 1), np.arange(0.5, len(silent))[::-1]

    found = weighted_auroc(np.array(active, float), np.array(silent, float), by_active, by_silent)

    won = mass = 0.0
    for a, wa in zip(active, by_active, strict=True):
        for s, ws in zip(silent, by_silent, strict=True):
            won += wa * ws * (1.0 if a > s else 0.5 if a == s else 0.0)
            mass += wa * ws
    assert found == pytest.approx(won / mass)


def test_the_interval_of_auroc_draws_groups_and_not_copies():
    near, far = np.array([0.9, 0.9, 0.1]), np.array([0.5, 0.4])
    alone, twins = crops(np.eye(3)), crops(np.eye(3), group=[0, 0, 1])

    found = auroc_interval(near, far, twins, crops(np.eye(2)), Draws(300, 0))

    assert (
        found.value == auroc_interval(near, far, alone, crops(np.eye(2)), Draws(300, 0)).value == pytest.approx(2 / 3)
    )
    assert (found.low, found.high) == (0.0, 1.0)  # each replicate draws one group of two: all won, or none


class Fake:
    """An embedder that knows each image's vector."""

    name = "fake-embedder"

    def __init__(self, vector: Callable[[int], Sequence[float]], broken: Sequence[int] = ()) -> None:
        self.vector = vector
        self.broken = broken
        self.kind = "image"
        self.told: list[str] = []

    async def pictures(self, pictures: Sequence[Picture]) -> Vectors | Failure:
        images = [p.tiles[0].image for p in pictures]
        if bad := [i for i in images if i in self.broken]:
            return Failure(self.kind, f"image {bad[0]}: broken", 1)
        return np.array([self.vector(i) for i in images], np.float32)

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        self.told += texts
        return np.array([[1.0, 0.0, 0.0]] * len(texts), np.float32)


def by_side(image: int) -> tuple[float, float, float]:
    """Active images (below 100) all alike, silent ones on two other axes in turn."""
    return (1.0, 0.0, 0.0) if image < 100 else (0.0, 1.0, 0.0) if image % 2 else (0.0, 0.0, 1.0)


def trial(cache: Cache, fake: Fake, *, about: Feature | None = None, said: Explanation | None = None) -> Case:
    case = make_case(cache, ByImage(lambda image: "no"), about=about, said=said, scorers=["embedding"])
    case.embedder = fake
    return case


def verdict(case: Case) -> Outcome:
    return asyncio.run(EMBEDDING(case))


def test_crops_of_one_kind_score_one_beside_silent_ones(cache: Cache):
    fake = Fake(by_side)

    score = scored(verdict(trial(cache, fake)))

    assert (score.value, score.low, score.high, score.n) == pytest.approx((1.0, 1.0, 1.0, 20))
    # 40 silent images, 20 on each of two axes: of 780 pairs 380 are alike.
    assert score.controls["silent"].value == pytest.approx(380 / 780)
    assert score.details["p_silent"] == 1 / 201
    assert (score.details["likeness"], score.details["likeness_gap"]) == (1.0, 1.0)
    assert (score.details["embedder"], score.details["missing"], score.details["n_silent"]) == ("fake-embedder", 0, 40)
    assert fake.told == ["a red square"]


def test_an_image_counts_by_its_activation_and_by_what_it_stands_for(cache: Cache):
    # Images 0…4 at the feature's largest activation of 2, one image each; 5…9 at half of it, each for 19 images.
    rows = (*exemplars("top", range(5), activation=2.0), *exemplars("q1", range(5, 10), probability=0.05))
    rows = tuple(r if r.stratum == "top" else type(r)(r.image, 1.0, "q1", 0.05, None, None) for r in rows)
    about = feature((*rows, *exemplars("silent", range(100, 110), activation=0)))
    fake = Fake(lambda image: (1.0, 0.0, 0.0) if image < 5 else (0.0, 1.0, 0.0))

    score = scored(verdict(trial(cache, fake, about=about)))

    case = trial(cache, fake, about=about)
    items = [i for i in case.pool.draw(48, 48).items if i.active]
    weights = np.array([i.weight * i.exemplar.activation / 2.0 for i in items])
    vectors = np.array([fake.vector(i.exemplar.image) for i in items])
    assert score.value == pytest.approx(slow_monosemanticity(vectors, weights, list(range(10))))


def test_a_feature_without_an_explanation_has_monosemanticity_and_no_likeness(cache: Cache):
    said = explanation().model_copy(update={"none": True, "text": ""})

    score = scored(verdict(trial(cache, Fake(by_side), said=said)))

    assert score.value == pytest.approx(1.0)
    assert "likeness" not in score.details


def test_a_broken_image_is_left_out_and_counted(cache: Cache):
    case = trial(cache, Fake(by_side, broken=[3, 117]))

    score = scored(verdict(case))

    assert (score.n, score.details["n_silent"], score.details["missing"]) == (19, 39, 2)
    assert sorted(gap.message for gap in case.gaps) == ["image 117: broken", "image 3: broken"]


def test_a_failure_that_may_pass_leaves_the_feature_pending(cache: Cache):
    fake = Fake(by_side, broken=[3])
    fake.kind = "rate_limited"

    assert verdict(trial(cache, fake)) == Failure("rate_limited", "image 3: broken", 1)


def test_near_duplicates_count_once_among_the_images_that_are_needed(cache: Cache):
    about = feature((*exemplars("top", range(8)), *exemplars("silent", range(100, 110), activation=0)))
    found: list[Outcome] = []
    for n_twins in (4, 5):
        images = image_rows([*range(8), *range(100, 110)], groups=dict.fromkeys(range(n_twins), "twins"))
        case = make_case(cache, ByImage(lambda image: "no"), about=about, images=images, scorers=["embedding"])
        case.embedder = Fake(by_side)
        found.append(verdict(case))

    assert scored(found[0]).n == 8
    assert isinstance(found[1], Unscored)
    assert found[1].reason.startswith("4 different held-out active images, 5 are needed; ")
    assert "harvest --top, --per-band" in found[1].reason


def test_without_silent_images_there_is_no_control(cache: Cache):
    score = scored(verdict(trial(cache, Fake(by_side), about=feature(exemplars("top", range(8))))))

    assert score.value == pytest.approx(1.0)
    assert score.controls == {}
    assert "p_silent" not in score.details


class Many(Fake):
    """Embeds the text `first` on the first axis, any other on the second."""

    async def texts(self, texts: Sequence[str]) -> Vectors | Failure:
        self.told += texts
        return np.array([(1.0, 0.0, 0.0) if t == "first" else (0.0, 1.0, 0.0) for t in texts], np.float32)


def test_a_crop_is_as_like_several_explanations_as_to_the_likest_of_them(cache: Cache):
    # Active images are on two axes in turn, each of which one part names; silent ones are on the third.
    fake = Many(lambda image: (0.0, 0.0, 1.0) if image >= 100 else (1.0, 0.0, 0.0) if image % 2 else (0.0, 1.0, 0.0))

    score = scored(verdict(trial(cache, fake, said=several("first", "second"))))

    assert fake.told == ["first", "second"]
    assert (score.details["likeness"], score.details["likeness_gap"]) == pytest.approx((1.0, 1.0))
