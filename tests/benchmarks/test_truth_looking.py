"""The world in which the judge looks: its decoder, its judge, and what the benchmark's pages say."""

import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from autointerp.images.jpeg import encoded
from autointerp.images.picture import Picture, Tile
from autointerp.images.render import render_sheet, render_tile, tile_size
from autointerp.schema import Box
from benchmarks.truth.looking.__main__ import FIGURES, HERE, MARKS, PAGE, SIZE, brief, read_table, report, showing
from benchmarks.truth.looking.judge import PERFECT, SHORT_SIGHTED, Errs, cells_of
from benchmarks.truth.looking.leaks import Cell, auroc, ranked
from benchmarks.truth.looking.pixels import draw, read
from benchmarks.truth.looking.population import KINDS, World, plant
from benchmarks.truth.looking.running import Plan, belief, f1, run
from benchmarks.truth.looking.things import Concept, Things, fits

Looks = list[tuple[int, ...]]
WORLD = World(10_000, 0.15, "anywhere", 0)


def looks(things: Things, row: int = 0) -> Looks:
    there = np.flatnonzero(things.there[row])
    return sorted(tuple(int(c[row, at]) for c in (things.hue, things.texture, things.dot)) for at in there)


def sent(tiles: list[Tile], sources: Sequence[Image.Image], side: int) -> list[np.ndarray]:
    """What is left of the tiles after they were put on a sheet, encoded and cut out again."""
    picture = Picture(tuple(tiles), side, 85, 4)
    drawn = [render_tile(tile, source, 1, side) for tile, source in zip(tiles, sources, strict=True)]
    jpeg = encoded(render_sheet(drawn, 4, side), 85)
    return cells_of(picture, np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")))


@pytest.mark.parametrize("side", [0.15, 0.25, 0.4])
def test_what_is_drawn_is_read_back_from_the_cells_of_an_encoded_sheet_of_smaller_pictures(side: int):
    planted = plant(World(1000, side, "anywhere", 0), "object", 0.1, 0)
    sources = [Image.open(BytesIO(draw(planted.things, i))) for i in range(24)]
    tiles = [Tile(i, f"{i:064x}", source.size, "full", None) for i, source in enumerate(sources)]

    for cell_side in (160, 100):
        cells = sent(tiles, sources, cell_side)
        assert [cell.shape[:2] for cell in cells] == [tile_size(t, cell_side)[::-1] for t in tiles]
        assert [looks(read(cell)) for cell in cells] == [looks(planted.things, i) for i in range(24)]


def test_a_thing_is_read_from_a_crop_around_it_and_not_from_one_beside_it():
    planted = plant(WORLD, "object", 0.1, 0)
    (image,) = np.flatnonzero(planted.fires & ~planted.things.there[:, 1])[:1].tolist()
    source = Image.open(BytesIO(draw(planted.things, image)))
    x, y = (round(float(c[image, 0]) * source.width) for c in (planted.things.x, planted.things.y))
    around = Box(max(0, x - 24), max(0, y - 24), min(source.width, x + 24), min(source.height, y + 24))
    left = x < source.width / 2
    beside = Box(source.width // 2 + 16, 0, source.width, 48) if left else Box(0, 0, source.width // 2 - 16, 48)

    tiles = [Tile(image, "a" * 64, source.size, "crop", box) for box in (around, beside)]
    found = [looks(read(cell)) for cell in sent(tiles, [source] * 2, 160)]

    assert found == [looks(planted.things, image), []]


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_feature_has_its_rate_and_its_explanations_their_f1(kind: str):
    planted = plant(WORLD, kind, 0.1, 3)

    def quality(text: str) -> float:
        return f1(planted.fires, belief(planted.extension(planted.texts[text]), PERFECT))

    assert planted.fires.mean() == 0.1
    assert quality("true") == 1.0
    # Half of what fires it, 2 · .5 / 1.5; what is too broad holds for five times as many, 2 · .2 / 1.2.
    assert quality("half") == pytest.approx(2 / 3)
    assert quality("too broad") == pytest.approx(1 / 3)
    assert quality("an image") == pytest.approx(0.2 / 1.1)
    assert quality("close-up") == quality("blank") == 0.0


def test_a_short_sighted_judge_misses_what_is_small_on_the_picture():
    one = np.zeros((1, 1))
    thing = Things(one == 0, one.astype(int), one.astype(int) + 1, one.astype(int) + 1, one + 0.5, one + 0.5, one + 0.2)
    dotted = {"dot": Concept(dots=frozenset((1,)))}

    def sees(side: int) -> tuple[bool, bool]:
        view = SHORT_SIGHTED.sees(thing, side)
        return bool(view.there.any()), bool(fits("dot", dotted, view)[0])

    # The thing has 27, 30 and 42 pixels, its dot a third of them; 28 and 14 are needed.
    assert [sees(side) for side in (135, 150, 210)] == [(False, False), (True, False), (True, True)]
    assert Errs("sees all").sees(thing, 10) is thing


def test_without_images_near_the_threshold_what_is_too_broad_scores_as_what_is_true():
    """Why the headline counts them: here the feature comes near to firing where a too broad explanation fits."""
    counted = showing("full")
    apart = replace(counted, name="apart", settings=counted.settings.model_copy(update={"silent_below": 0.5}))

    records, _ = run(Plan(WORLD, "object", 0.1, 0, (counted, apart), SIZE, texts=("true", "too broad")))

    found = {(r.showing, r.text): r.score for r in records}
    assert found["full", "true"] == found["apart", "true"] == found["apart", "too broad"] == 1.0
    assert found["full", "too broad"] == pytest.approx(1 / 3, abs=0.1)


def test_a_judge_that_sees_whole_images_says_what_is_true_and_on_crops_overrates_what_is_too_broad():
    ways = (showing("crop"), showing("full"))

    records, cells = run(Plan(WORLD, "object", 0.1, 0, ways, SIZE, texts=("too broad", "place", "blank")))

    found = {(r.showing, r.text): r for r in records}
    for text in ("too broad", "place"):
        assert abs(found["full", text].score - found["full", text].known) < 0.02
        assert found["crop", text].score - found["crop", text].known > 0.2
    assert (found["crop", "blank"].silent_yes > 0.3, found["full", "blank"].silent_yes) == (True, 0.0)
    whole = [c for c in cells if c.showing == "full"]
    assert sum(bool(c.misread) for c in whole) <= 2
    # Emptiness alone tells an active crop from a silent one, and nothing tells whole images.
    empty = {
        name: ranked(
            np.array([c.values[5] for c in cells if c.showing == name]),
            np.array([c.active for c in cells if c.showing == name]),
        )
        for name in ("crop", "full")
    }
    assert empty["crop"] > 0.9
    assert abs(empty["full"] - 0.5) < 0.08


def test_the_classifier_finds_a_difference_that_is_there_and_none_where_there_is_none():
    chance = np.random.default_rng(0)

    def cells(shift: float) -> list[Cell]:
        drawn = [(feature, bool(chance.random() < 0.3)) for feature in range(10) for _ in range(80)]
        return [Cell("x", f, active, tuple(chance.normal(shift * active, 1.0, 3))) for f, active in drawn]

    assert auroc(cells(2.0)) > 0.95
    assert abs(auroc(cells(0.0)) - 0.5) < 0.06


def test_the_pages_show_the_figures_of_the_last_run():
    found = read_table()

    for page, marks, text in (
        (HERE / "README.md", FIGURES, report(found)),
        (PAGE, MARKS, f"{found.of}\n\n{brief(found.records, found.many, found.leaks)}"),
    ):
        assert page.read_text().partition(marks[0])[2].partition(marks[1])[0].strip() == text
    assert json.loads((HERE / "table.json").read_text())["of"] == found.of
