"""An image is a contrast to itself once the network says that the feature is silent without the region."""

import asyncio
from dataclasses import replace

import numpy as np
from builders import feature, image_rows

from autointerp.evidence import draw_shown
from autointerp.explanation.counterfactuals import find_counterfactuals
from autointerp.explanation.explainer import Explainer
from autointerp.explanation.views import draw_views
from autointerp.prompts import load_prompt
from autointerp.schema import Box, Counterfactual, Exemplar, Feature
from autointerp.settings import CandidateSettings, ExplainSettings, ModelSettings

BOX = Box(0, 0, 32, 24)
CORNERS = bytes([255, *[0] * 62, 200])
"""Fires in the first and the last cell of 8 x 8."""
ABOVE = 1.0


def subject(*boxes: Box | None, heat: bytes | None = None) -> Feature:
    """Fires above 1 on twice as many images as boxes, half of which are shown."""
    rows = [Exemplar(i, 2.0, "top", 1.0, box, heat) for i, box in enumerate([*boxes, *boxes])]
    return replace(feature(rows), active_above=ABOVE)


class Network:
    """Gives an activation by the kind of picture and its region."""

    name = "planted"

    def __init__(self, **values: float) -> None:
        self.values = values
        self.asked: list[tuple[int, tuple[int, ...]]] = []

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(size[0]), float(size[1])

    async def activations(self, pictures, feature):
        self.asked += [(what.source.image, what.box.corners) for what in pictures[:1]]
        return np.array([self.values[what.kind] for what in pictures])


def found(
    network: Network, about: Feature, grid: tuple[int, int] | None = None, n: int = 4
) -> tuple[Counterfactual, ...]:
    settings = ExplainSettings.model_validate({"contrast_kind": "erased", "n_contrast": n})
    asks = Explainer(ModelSettings.model_validate("m"), settings, load_prompt("explain-pairs", None), None, grid, ABOVE)
    rows = image_rows(e.image for e in about.exemplars)
    asks = asyncio.run(find_counterfactuals(asks, about, rows, network, None)).known_to(asks)
    assert isinstance(asks, Explainer)
    assert {pair.image for pair in asks.counterfactuals} <= {e.image for e in draw_shown(about, rows, settings).active}
    return asks.counterfactuals


def test_the_first_filling_that_silences_the_feature_is_taken():
    pairs = found(Network(mean=1.5, blur=0.25, inpaint=0.0), subject(*[BOX] * 4))

    # The region that a crop shows: the box and the context around it.
    assert [(pair.box, pair.how, pair.activation) for pair in pairs] == [((0, 0, 37, 32), "blur", 0.25)] * 4


def test_no_more_images_are_tried_than_contrast_is_asked_for():
    network = Network(mean=0.0, blur=0.0, inpaint=0.0)

    assert (len(found(network, subject(*[BOX] * 6), n=2)), len(network.asked)) == (2, 2)


def test_what_comes_near_the_threshold_is_no_contrast_and_neither_is_a_picture_that_cannot_be_made():
    """As of ordinary silent images: more than half of the threshold is too near."""
    assert found(Network(mean=1.0, blur=0.51, inpaint=np.nan), subject(*[BOX] * 4)) == ()
    assert [pair.how for pair in found(Network(mean=1.0, blur=0.5, inpaint=np.nan), subject(*[BOX] * 2))] == [
        "blur"
    ] * 2


def test_an_image_without_a_region_of_its_own_is_passed_over():
    network = Network(mean=0.0, blur=0.0, inpaint=0.0)

    assert found(network, subject(None, None, None)) == ()
    assert network.asked == []


def test_where_two_places_fire_the_second_region_tried_is_around_both():
    class Both(Network):
        async def activations(self, pictures, feature):
            await super().activations(pictures, feature)
            return np.array([0.0 if what.box.width > 40 else 2.0 for what in pictures])

    near = bytes([255, 0, 0, 0, 200, *[0] * 59])
    network = Both(mean=0.0, blur=0.0, inpaint=0.0)

    (pair, *_) = found(network, subject(None, None, heat=near), grid=(8, 8))

    (_, peak), (_, both) = network.asked[:2]
    assert (pair.box, pair.how) == (both, "mean")
    assert both[0] == peak[0] == 0
    assert both[2] > peak[2]


def test_a_view_of_some_images_has_their_pairs_alone():
    about = subject(*[BOX] * 6)
    rows = image_rows(e.image for e in about.exemplars)
    pairs = found(Network(mean=0.0, blur=0.0, inpaint=0.0), about, n=6)
    settings = ExplainSettings.model_validate({"contrast_kind": "erased", "n_contrast": 6})
    asks = Explainer(
        ModelSettings.model_validate("m"),
        settings,
        load_prompt("explain-pairs", None),
        None,
        None,
        ABOVE,
        counterfactuals=pairs,
    )

    whole, part = draw_views(asks.draw(about, rows), CandidateSettings(n=2, subset=2), feature=3, seed=0)

    assert len(whole.pairs) == len(whole.active) == 6
    assert {pair.image for pair in part.pairs} == {e.image for e in part.active}
    assert len(part.pairs) == 2
