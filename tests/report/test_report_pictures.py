import pytest
from report_world import World

from autointerp.reports.pictures import PictureBook, outline_path, side_for
from autointerp.schema import Box, Exemplar, ImageRow


def exemplar(box: Box | None, heat: bytes | None = None) -> Exemplar:
    return Exemplar(0, 1.0 if box else 0.0, "top" if box else "silent", 1.0, box, heat)


IMAGE = ImageRow(0, 80, 60, "0" * 64, None, None, None)
BOX = Box(0, 0, 40, 40)


def test_the_same_place_of_an_image_has_one_key_and_a_crop_another(world: World):
    book = PictureBook(world.data(), 256)

    keys = [book.thumb(exemplar(BOX), rendering, "", "").key for rendering in ("crop", "full", "crop", "mask")]

    assert keys == ["p0", "p1", "p0", "p2"]


def test_an_outline_is_a_line_over_the_whole_picture_and_no_part_of_it(world: World):
    book = PictureBook(world.data(), 256)

    plain, outlined = (book.thumb(exemplar(BOX), rendering, "", "") for rendering in ("full", "outline"))

    assert plain.key == outlined.key
    assert (plain.outline, outlined.outline[:1]) == ("", "M")
    assert book.outlined


def test_an_image_without_a_region_is_shown_whole_however_asked(world: World):
    book = PictureBook(world.data(), 256)

    thumbs = [book.thumb(exemplar(None), rendering, "", "") for rendering in ("crop", "outline", "full")]

    assert {t.key for t in thumbs} == {"p0"}
    assert {(t.width, t.height, t.outline) for t in thumbs} == {(80, 60, "")}
    assert not book.outlined


def test_an_outline_goes_along_the_cells_that_fire_in_the_pixels_of_the_picture():
    # The upper right of two by two cells, in a picture of 40 by 30 pixels; the edge keeps a pixel to itself.
    path = outline_path(exemplar(BOX, bytes([0, 255, 0, 0])), IMAGE, BOX, (2, 2), (40, 30))

    assert sorted(path.strip("MZ").split("L")) == ["20 1", "20 15", "39 1", "39 15"]


def test_without_a_heat_map_the_outline_is_the_box():
    # Half of 80 by 60 pixels.
    assert outline_path(exemplar(BOX), IMAGE, Box(8, 10, 40, 60), None, (40, 30)) == "M4 5L20 5L20 29L4 29Z"


@pytest.mark.parametrize(("cards", "side"), [(1, 256), (60, 256), (61, 176), (200, 176), (201, 128)])
def test_a_page_of_few_cards_has_larger_pictures(cards: int, side: int):
    assert side_for(cards) == side
