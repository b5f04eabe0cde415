"""The places of an image that the embedded model looks through."""

from autointerp.images.picture import Tile
from autointerp.lmm.local.windows import cut, windows
from autointerp.schema import Box


def test_the_windows_tile_the_image_row_by_row():
    whole = Tile(3, f"{3:064x}", (300, 300), "full", None)

    assert len(windows()) == 9
    assert (windows()[0], windows()[1]) == (Box(0, 0, 333, 333), Box(333, 0, 666, 333))
    assert [t.box for t in cut(whole)][-1] == Box(200, 200, 300, 300)
    assert {t.rendering for t in cut(whole)} == {"crop"}
