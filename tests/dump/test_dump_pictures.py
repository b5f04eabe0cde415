"""The images of a dump, decoded wherever their files are."""

from types import SimpleNamespace

import pytest

from autointerp.dump.pictures import decoded
from autointerp.errors import ImageError
from autointerp.remote.path import as_path


def test_an_image_that_is_gone_from_a_url_is_one_line_that_names_it():
    gone = as_path("memory://nowhere/gone.jpg")

    with pytest.raises(ImageError, match=r"memory://nowhere/gone\.jpg: .*; restore the file"):
        decoded(SimpleNamespace(image_source=lambda image: gone), 0, None)
