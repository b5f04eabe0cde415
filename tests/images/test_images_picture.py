"""The recipe of a picture, which stands for its pixels in a request's key."""

import pytest
from builders import picture

from autointerp.images import picture as module
from autointerp.images.picture import Picture


def test_tiles_that_share_a_number_make_another_recipe_and_one_number_each_leaves_it_as_it_was():
    two = Picture((*picture().tiles, *picture().tiles), 224, 85, 2)

    assert Picture(two.tiles, 224, 85, 2, 1).recipe == two.recipe
    assert Picture(two.tiles, 224, 85, 2, 2).recipe != two.recipe


def test_a_new_version_of_the_renderer_gives_new_recipes(monkeypatch: pytest.MonkeyPatch):
    before = picture()

    monkeypatch.setattr(module, "RENDERER", module.RENDERER + 1)

    assert picture().recipe != before.recipe
    assert picture().digest != before.digest
