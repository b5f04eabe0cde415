"""Silent images of a top list: which may be drawn, with which chance, and in which order images are rows."""

from pathlib import Path

import numpy as np
import pytest

from autointerp.dump.importers.rows import POOL, Silent, Top, image_folder, positive
from autointerp.errors import DumpError
from autointerp.images.content import OwnFile
from autointerp.populations.listing import Entry


def top(rows: list[int], feature: int = 0) -> Top:
    return Top(feature, np.array(rows), np.ones(len(rows), np.float32), len(rows), complete=True)


def test_silent_images_are_none_of_those_listed_and_have_the_chance_of_the_draw() -> None:
    """Of 10 images 4 are listed: each of the 6 others has the chance 3/6 to be among the 3."""
    rows, chance = Silent(10, 3, seed=1).of(top([0, 2, 4, 6]))
    assert len(rows) == 3
    assert not set(rows.tolist()) & {0, 2, 4, 6}
    assert chance == 0.5


def test_where_fewer_are_left_than_wanted_all_of_them_are_taken() -> None:
    rows, chance = Silent(5, 40, seed=1).of(top([1, 3]))
    assert rows.tolist() == [0, 2, 4]
    assert chance == 1.0


def test_every_image_that_is_not_listed_is_drawn_as_often_as_the_others() -> None:
    """Of 1,200 features, each draws 2 of 6: every image is drawn about 400 times, four deviations are 65."""
    draw, counts = Silent(8, 2, seed=7), np.zeros(8, np.int64)
    for feature in range(1200):
        np.add.at(counts, draw.of(top([0, 5], feature))[0], 1)
    assert counts[[0, 5]].tolist() == [0, 0]
    assert (np.abs(counts[[1, 2, 3, 4, 6, 7]] - 400) < 65).all()


def test_of_many_images_a_pool_is_drawn_first_and_the_chance_is_that_of_both_draws() -> None:
    """Twice as many images as the pool has: 1/2 to be in it, then 8 of those of the pool that are not listed."""
    n = 2 * POOL
    draw = Silent(n, 8, seed=3)
    listed = list(range(100))
    rows, chance = draw.of(top(listed))
    in_pool = len(np.intersect1d(draw._pool, listed))
    assert chance == pytest.approx(0.5 * 8 / (POOL - in_pool))
    other_rows, _ = draw.of(top(listed, feature=1))
    assert set(rows.tolist()) | set(other_rows.tolist()) <= set(draw._pool.tolist())
    assert rows.tolist() != other_rows.tolist()


def test_rows_with_activation_0_are_no_evidence_and_the_strongest_comes_first() -> None:
    rows, activations = positive("x", np.array([7, 3, 99, 5]), np.array([1, 4, 0, 2], np.float32), 10)
    assert rows.tolist() == [3, 5, 7]
    assert activations.tolist() == [4, 2, 1]


@pytest.mark.parametrize(
    ("rows", "activations", "said"),
    [
        ([3, 10], [1, 1], "names image 10, and --images holds 10"),
        ([3, -1], [1, 1], "names image -1"),
        ([3, 3], [2, 1], "names an image twice"),
        ([3, 4], [1, np.nan], "not finite"),
        ([3, 4], [1, np.inf], "not finite"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_name(rows: list[int], activations: list[float], said: str) -> None:
    with pytest.raises(DumpError, match=said):
        positive("file: latent 2", np.array(rows), np.array(activations, np.float32), 10)


def test_rows_of_a_folder_go_by_class_and_not_by_path() -> None:
    """As paths, `a-b/x.png` comes before `a/y.png`; torchvision sorts the folders, and reads no GIF."""
    names = ["a-b/x.png", "a/sub/0.png", "a/y.png", "a/y.gif", "stray.png", "a/Z.JPG"]
    entries = [Entry(name, OwnFile(Path(name))) for name in sorted(names)]
    rows, others = image_folder(entries)
    assert [entry.name for entry in rows] == ["a/Z.JPG", "a/y.png", "a/sub/0.png", "a-b/x.png"]
    assert sorted(entry.name for entry in others) == ["a/y.gif", "stray.png"]
