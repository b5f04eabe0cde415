"""The sanity checks of NeuronEval (arXiv 2506.05774) on our measures, and faults that must not come back."""

import numpy as np
import pytest
from builders import explanation
from trial import ByImage, make_case, outcomes, scored, subject

from autointerp.lmm.cache import Cache
from autointerp.statistics.rates import (
    Floats,
    auprc_samples,
    f1_samples,
    pearson_samples,
    precision_samples,
    recall_samples,
    specificity_samples,
)

N, FIRES = 20_000, 200
"""Images, and those on which the feature fires: 1 %."""
MEASURES = {"f1": f1_samples, "auprc": auprc_samples, "pearson": pearson_samples}


def world() -> tuple[Floats, Floats, Floats]:
    """y, activation and the beliefs of a perfect judge under the true explanation, for every image."""
    rng = np.random.default_rng(5)
    y = (np.arange(N) < FIRES).astype(float)
    return y, y * rng.uniform(1, 4, N), y.copy()


def measured(y: Floats, c: Floats, a: Floats) -> dict[str, float]:
    every = MEASURES | {"precision": precision_samples, "recall": recall_samples, "specificity": specificity_samples}
    return {name: float(m(y, c, a, np.ones((1, len(y))))[0]) for name, m in every.items()}


def missing_half(c: Floats) -> Floats:
    """The explanation fits only every other image that it should."""
    return c * (np.arange(len(c)) % 2)


def with_extra(c: Floats) -> Floats:
    """The explanation fits as many silent images again."""
    return np.maximum(c, (np.arange(len(c)) >= len(c) - FIRES).astype(float))


@pytest.mark.parametrize("name", MEASURES)
def test_the_headline_measures_fall_when_labels_are_missing_and_when_labels_are_added(name: str):
    y, a, c = world()

    whole, half, more = (measured(y, beliefs, a)[name] for beliefs in (c, missing_half(c), with_extra(c)))

    assert half < 0.85 * whole
    assert more < 0.85 * whole


def test_recall_precision_and_specificity_are_each_blind_on_one_side():
    y, a, c = world()

    whole, half, more = (measured(y, beliefs, a) for beliefs in (c, missing_half(c), with_extra(c)))

    assert more["recall"] == whole["recall"] == 1.0  # so accuracy as published never stands alone
    assert half["precision"] == whole["precision"] == 1.0
    assert half["specificity"] == whole["specificity"] == 1.0
    assert more["specificity"] > 0.98  # 200 of 19,800 hardly move it


def test_an_explanation_that_fits_everything_scores_twice_the_density():
    y, a, _ = world()

    found = measured(y, np.ones(N), a)

    assert found["f1"] == pytest.approx(2 * 0.01 / 1.01)
    assert found["auprc"] == pytest.approx(0.01)
    assert np.isnan(found["pearson"])


def test_an_explanation_that_fits_nothing_scores_nothing():
    y, a, _ = world()

    found = measured(y, np.zeros(N), a)

    assert (found["f1"], found["recall"]) == (0.0, 0.0)


def test_answering_no_to_everything_does_not_pay(cache: Cache):
    # Plain accuracy on 4 active images of 14 would give .71.
    score = scored(outcomes(make_case(cache, ByImage(lambda image: "no")))["detection"])

    assert score.value == 0.0
    assert score.details["recall"] == 0.0


def test_what_the_explainer_saw_is_never_judged(cache: Cache):
    shown = (0, 1, 2, 3, 100, 101)
    said = explanation(images=shown[:4]).model_copy(update={"contrast": shown[4:]})

    score = scored(outcomes(make_case(cache, ByImage(lambda image: "yes"), about=subject(), said=said))["detection"])

    assert not {v.image for v in score.verdicts} & set(shown)


def test_a_reply_that_cannot_be_read_is_neither_an_explanation_nor_a_vector_of_zeros(cache: Cache):
    case = make_case(cache, ByImage(lambda image: "perhaps"))

    found = outcomes(case)

    assert type(found["detection"]).__name__ == "Failure"
    assert {gap.kind for gap in case.gaps} == {"malformed"}
