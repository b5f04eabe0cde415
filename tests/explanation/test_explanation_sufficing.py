"""With `auto` an image is shown as a crop where that alone fires the feature, and else whole and outlined."""

import asyncio
from dataclasses import replace

import numpy as np
from builders import feature, image_rows

from autointerp.explanation.explainer import Explainer
from autointerp.explanation.sufficing import with_sufficing
from autointerp.prompts import load_prompt
from autointerp.schema import Box, Exemplar, Feature
from autointerp.settings import ExplainSettings, ModelSettings

BOX = Box(0, 0, 32, 24)
ROWS = image_rows(range(8))


def subject() -> Feature:
    rows = [Exemplar(i, 2.0, "top", 1.0, BOX, None) for i in range(8)]
    return replace(feature(rows), active_above=1.0)


def explainer(*renderings: str) -> Explainer:
    settings = ExplainSettings.model_validate({"renderings": renderings, "n_contrast": 0})
    return Explainer(ModelSettings.model_validate("m"), settings, load_prompt("explain", None), None, None)


class OddOnes:
    """Crops of odd images fire, those of even ones come to the threshold."""

    name = "odd"

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(size[0]), float(size[1])

    async def activations(self, pictures, feature):
        assert all(what.kind == "crop" for what in pictures)
        return np.array([1.5 if what.source.image % 2 else 1.0 for what in pictures])


def shown(asks: Explainer) -> dict[int, str]:
    """How each image is shown."""
    from autointerp.evidence import draw_shown

    request = asks.first(draw_shown(subject(), ROWS, asks.settings), ROWS)
    return {p.tiles[0].image: p.tiles[0].rendering for p in request.pictures}


def test_images_whose_crop_fires_are_cropped_and_the_others_outlined():
    asks = asyncio.run(with_sufficing(explainer("auto"), subject(), ROWS, OddOnes()))

    assert isinstance(asks, Explainer)
    found = shown(asks)
    assert len(found) == 4
    assert found == {i: "crop" if i % 2 else "outline" for i in found}
    assert asks.sufficing == {i for i in found if i % 2}


def test_without_auto_nothing_is_asked_of_the_network():
    asks = explainer("outline", "crop")

    assert asyncio.run(with_sufficing(asks, subject(), ROWS, OddOnes())) is asks
    assert asyncio.run(with_sufficing(explainer("auto"), subject(), ROWS, None)) == explainer("auto")


def test_a_rendering_that_comes_twice_is_shown_once():
    asks = asyncio.run(with_sufficing(explainer("auto", "outline"), subject(), ROWS, OddOnes()))

    assert isinstance(asks, Explainer)
    from autointerp.evidence import draw_shown

    request = asks.first(draw_shown(subject(), ROWS, asks.settings), ROWS)
    counts = {i: sum(p.tiles[0].image == i for p in request.pictures) for i in shown(asks)}
    assert counts == {i: 2 if i % 2 else 1 for i in counts}
