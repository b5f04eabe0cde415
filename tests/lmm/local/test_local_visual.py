"""Visual properties of drawn pictures."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from autointerp.lmm.local.visual import PROPERTIES, measure_all
from autointerp.lmm.local.wording import parse, sentence


def values(picture: Image.Image) -> dict[str, float]:
    return {p.phrase: float(v) for p, v in zip(PROPERTIES, measure_all(picture), strict=True)}


def test_a_red_disc_on_white_is_red_and_round_and_nothing_blue():
    picture = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(picture).ellipse((20, 20, 76, 76), fill="red")

    found = values(picture)

    assert found["red things"] == 1
    assert found["round shapes"] == 1
    assert found["blue things"] == 0


def test_bands_across_are_horizontal_stripes_only():
    rows = np.where(np.arange(96) // 8 % 2, 255, 0).astype(np.uint8)
    picture = Image.fromarray(np.repeat(rows[:, None], 96, axis=1)).convert("RGB")

    found = values(picture)

    assert found["horizontal stripes"] == 1
    assert found["vertical stripes"] == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_any_size_gives_values_from_0_to_1(size: tuple[int, int]):
    measured = measure_all(Image.new("RGB", size, "gray"))

    assert ((measured >= 0) & (measured <= 1)).all()


@pytest.mark.parametrize(
    ("text", "meaning", "properties"),
    [
        ("The region that fires shows birds", "birds", ()),
        ("red sports cars", "red sports cars", ("red things",)),
        ("something round and blue", None, ("blue things", "round shapes")),
    ],
)
def test_an_explanation_is_split_into_things_and_looks(text: str, meaning: str | None, properties: tuple[str, ...]):
    parsed = parse(text)

    assert parsed.meaning == meaning
    assert tuple(PROPERTIES[i].phrase for i in parsed.properties) == properties


def test_every_property_is_recognised_in_the_explainers_own_sentence():
    for number, prop in enumerate(PROPERTIES):
        assert number in parse(sentence(prop.phrase, None, ())).properties
        assert number in parse(sentence("birds", prop.modifier, ())).properties
