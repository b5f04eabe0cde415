"""What the network did, as rows of pictures."""

from dataclasses import replace
from pathlib import Path

from exports.exports_world import drawn
from report_world import World, scored

from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.images.alteration import whole
from autointerp.reports.pictures import PictureBook
from autointerp.reports.strips import Strips, altered_jpegs
from autointerp.reports.unfired import CAUSE_LOST, SIZE_LOST, UNKNOWN, unfired
from autointerp.schema import Generated, Reencoded


def reencoded(image: int, crop: float, into: int | None = 5) -> Reencoded:
    """Of an activation of 4 on a region of 40 x 40 pixels."""
    where = {} if into is None else {"into": into, "at": (10, 10, 30, 30), "pasted": 2.0}
    levels = {"activation": 4.0, "crop": crop, "mean": 0.0, "blur": 0.0, "inpaint": 0.0}
    return Reencoded.model_validate({"image": image, "box": (0, 0, 40, 40), **levels, **where})


def causal(*found: Reencoded, value: float = 0.9, width: float = 0.2, **details: float):
    low, high = max(0.0, value - width / 2), min(1.0, value + width / 2)
    return {"causal": scored(1, value, "causal", low=low, high=high, reencoded=found, details=details)}


def rows(world: World, *found: Reencoded):
    strips = Strips(world.feature(1), PictureBook(world.data(), 256))
    return list(strips.rows(causal(*found)))


def test_the_images_whose_regions_fire_least_come_first_four_at_most(world: World):
    shown = rows(world, *(reencoded(i, crop=float(i)) for i in (3, 0, 2, 1, 6)))

    assert [row.title for row in shown] == ["Image 0", "Image 1", "Image 2", "Image 3"]
    assert shown[0].n == 5


def test_a_row_says_of_each_picture_whether_the_feature_fires(world: World):
    (row,) = rows(world, reencoded(2, crop=3.0))

    captions = [thumb.caption for thumb in row.thumbs]
    assert captions == ["alone: fires, 3.00", "taken away: silent, 0.00", "put into image 5: fires, 2.00"]
    assert [(thumb.width, thumb.height) for thumb in row.thumbs] == [(40, 40), (80, 60), (80, 60)]


def test_where_no_silent_image_was_there_nothing_was_put_into_one(world: World):
    (row,) = rows(world, reencoded(2, crop=3.0, into=None))

    assert len(row.thumbs) == 2


def generated(style: str, activation: float, heat: str | None = None) -> Generated:
    """A picture of 40 x 20 pixels; the feature fires above 0."""
    prompt = f"a red thing. {style}"
    what = {"picture": "a" * 64, "width": 40, "height": 20, "prompt": prompt, "style": style, "heat": heat}
    return Generated.model_validate(what | {"activation": activation, "fires": activation > 0})


def test_pictures_made_of_the_explanation_say_their_style_and_whether_they_fire_the_feature(world: World):
    world.patch_grid = (2, 2)
    made = (generated("photograph", 3.0, heat="ff000000"), generated("drawing", 0.0))
    book = PictureBook(world.data(), 256)

    (row,) = Strips(world.feature(1), book).made({"generation": scored(1, 0.9, "generation", generated=made)})

    assert [thumb.caption for thumb in row.thumbs] == ["photograph: fires, 3.00", "drawing: silent, 0.00"]
    assert row.note.startswith("1 of 2 pictures fire it")
    # The left upper quarter is outlined, a pixel inside.
    assert [thumb.outline for thumb in row.thumbs] == ["M1 1L20 1L20 10L1 10Z", ""]
    assert row.thumbs[0].alt == "photograph: fires, activation 3.00. a red thing. photograph"


def test_a_heat_map_of_another_grid_than_the_dumps_outlines_nothing(world: World):
    world.patch_grid = (2, 2)
    made = (generated("photograph", 3.0, heat="ff0000"),)

    (row,) = Strips(world.feature(1), PictureBook(world.data(), 256)).made(
        {"generation": scored(1, 0.9, "generation", generated=made)}
    )

    assert [thumb.outline for thumb in row.thumbs] == [""]


def test_a_stored_picture_that_is_not_there_is_shown_as_unreadable(world: World, tmp_path: Path):
    with DumpWriter(tmp_path / "dump", drawn()):
        pass
    made = altered_jpegs(open_dump(tmp_path / "dump"))
    book = PictureBook(replace(world.data(), pictures=tmp_path, altered=made), 256)

    thumb = book.altered(whole(book.stored("b" * 64, (40, 20))), "gone", "gone")
    book.make()

    assert (thumb.width, thumb.height, book.broken, book.made) == (40, 20, 1, {})


def test_crops_that_fire_less_than_half_are_marked_unless_the_score_says_nothing():
    assert unfired(causal(value=0.3)["causal"]) == UNKNOWN
    assert unfired(causal(value=0.7)["causal"]) is None
    assert unfired(causal(value=0.3, width=0.7)["causal"]) is None
    assert unfired(None) is None


def test_the_mark_says_whether_a_crop_lost_the_size_or_the_cause():
    """What fires the feature again in other images, at its own size, is the cause."""
    assert unfired(causal(value=0.1, pasted=0.9)["causal"]) == SIZE_LOST
    assert unfired(causal(value=0.1, pasted=0.3)["causal"]) == CAUSE_LOST
    assert unfired(causal(value=0.9, pasted=0.3)["causal"]) is None
