"""Planted generators: what is drawn is what was planned, and the page says what the figures say."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from benchmarks.generators.figures import Figures
from benchmarks.generators.planted import SAID, truth_of
from benchmarks.generators.scenes import SEEN, STYLES, drawn
from benchmarks.generators.table import COVERAGE, JSON, PAGE, tables
from benchmarks.generators.worlds import spearman
from benchmarks.paper.cutouts import Cutout
from benchmarks.paper.scenes import KINDS


def cutout(name: str) -> Cutout:
    return Cutout(name, Image.new("RGBA", (80, 100), (200, 30, 30, 255)))


@pytest.mark.parametrize("style", STYLES)
def test_a_scene_of_one_seed_is_the_same_picture_each_time(style: str):
    things = [cutout("one"), cutout("two")]
    first, again = (drawn(things, things[0], "floating", style, 7) for _ in range(2))

    assert np.array_equal(np.asarray(first), np.asarray(again))


def test_styles_differ_and_two_of_four_are_known_to_the_features():
    things = [cutout("one"), cutout("two")]
    made = [np.asarray(drawn(things, things[0], "", style, 7), float) for style in STYLES]

    assert set(SEEN) < set(STYLES)
    assert len(STYLES) == 4
    for i, one in enumerate(made):
        assert all(np.abs(one - other).mean() > 2 for other in made[i + 1 :])


def test_a_text_is_true_of_the_errors_that_it_speaks_of():
    both = "a floor without a shadow where a thing should touch it"

    assert truth_of(["floating", "no shadow", "doubled part", ""], both).tolist() == [True, True, False, False]
    assert frozenset(KINDS) == frozenset().union(*(kinds for kinds, _ in SAID.values()))


def test_ranks_that_agree_correlate_fully_and_a_truth_without_ranks_not_at_all():
    assert spearman([0.1, 0.2, 0.3], [1.0, 5.0, 6.0]) == pytest.approx(1.0)
    assert spearman([0.1, 0.2, 0.3], [3.0, 2.0, 1.0]) == pytest.approx(-1.0)
    assert spearman([0.1, 0.1, 0.1], [3.0, 2.0, 1.0]) is None


def test_the_page_holds_the_tables_of_the_committed_figures():
    page = PAGE.read_text(encoding="utf-8")

    for text in tables(Figures.model_validate_json(JSON.read_text(encoding="utf-8"))).values():
        assert text in page


def test_a_target_that_is_missed_is_said_to_be():
    figures = Figures.model_validate_json(JSON.read_text(encoding="utf-8"))

    table = tables(figures)["rates"].splitlines()[2:]
    for line, one in zip(table, figures.estimates, strict=True):
        low, high = COVERAGE
        missed = sum(
            (
                one.spearman.value < 0.9,
                not low <= one.coverage.value <= high,
                one.own is not None and not low <= one.own.value <= high,
            )
        )
        assert line.count("**missed**") == missed
