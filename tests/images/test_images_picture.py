"""The recipe of a picture, which stands for its pixels in a request's key."""

import pytest
from builders import picture

from autointerp.images import picture as module


def test_a_new_version_of_the_renderer_gives_new_recipes(monkeypatch: pytest.MonkeyPatch):
    before = picture()

    monkeypatch.setattr(module, "RENDERER", module.RENDERER + 1)

    assert picture().recipe != before.recipe
    assert picture().digest != before.digest
