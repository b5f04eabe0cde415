"""The recipe of a picture, which stands for its pixels in a request's key."""

from dataclasses import replace

import pytest
from builders import picture

from autointerp.images import picture as module
from autointerp.images.picture import Picture


def test_tiles_that_share_a_number_make_another_recipe_and_one_number_each_leaves_it_as_it_was():
    two = Picture((*picture().tiles, *picture().tiles), 224, 85, 2)

    assert Picture(two.tiles, 224, 85, 2, 1).recipe == two.recipe
    assert Picture(two.tiles, 224, 85, 2, 2).recipe != two.recipe


def test_only_what_is_enlarged_makes_another_recipe():
    small = picture(0)
    own = max(small.tiles[0].size)

    assert Picture(small.tiles, 448, 85, least=own).recipe == Picture(small.tiles, 448, 85).recipe
    assert Picture(small.tiles, 448, 85, least=own + 1).recipe != Picture(small.tiles, 448, 85).recipe


def test_a_new_version_of_outlines_leaves_pictures_without_one_as_they_are(monkeypatch: pytest.MonkeyPatch):
    plain, outlined = picture(0), Picture((replace(picture(0).tiles[0], rendering="outline"),), 448, 85)

    monkeypatch.setattr(module, "OUTLINE", module.OUTLINE + 1)

    assert Picture(plain.tiles, plain.side, plain.quality).recipe == plain.recipe
    assert Picture(outlined.tiles, 448, 85).recipe != outlined.recipe


def test_the_style_of_an_outline_makes_another_recipe_of_outlines_alone():
    outlined = replace(picture(0).tiles[0], rendering="outline")
    whole = replace(outlined, rendering="full")

    assert replace(outlined, style="line").recipe() != replace(outlined, style="box").recipe() != outlined.recipe()
    assert replace(whole, style="line").recipe() == whole.recipe()


def test_a_new_version_of_the_renderer_gives_new_recipes(monkeypatch: pytest.MonkeyPatch):
    before = picture()

    monkeypatch.setattr(module, "RENDERER", module.RENDERER + 1)

    assert picture().recipe != before.recipe
    assert picture().digest != before.digest
