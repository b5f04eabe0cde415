"""The recipe's images and pairs: what is unseen stays unseen, and pairs are as `train evaluate --pairs` reads them."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from autointerp.populations.pairs import read_pairs
from benchmarks.paper import pairs, population
from benchmarks.paper.cutouts import Cutout
from benchmarks.paper.faces import Face
from benchmarks.paper.population import LEARN, SPARE, UNSEEN, Counts, unseen_things
from benchmarks.paper.scenes import KINDS, Scene


def things() -> list[Cutout]:
    made = []
    for i in range(20):
        image = Image.new("RGBA", (60, 80), (0, 0, 0, 0))
        ImageDraw.Draw(image).ellipse((0, 0, 59, 79), fill=(12 * i, 255 - 12 * i, 90, 255))
        made.append(Cutout(f"animals/birds/thing-{i}", image))
    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """Twenty things and two faces in the place of the packages; the scenes that are drawn, in their order."""
    kept: list[Scene] = []
    draw = population.draw

    def noting(*given: object) -> Scene:
        kept.append(draw(*given))  # pyright: ignore[reportArgumentType]
        return kept[-1]

    faces = [Face(Image.new("RGB", (64, 64)), "package", distorted) for distorted in (True, None)]
    monkeypatch.setattr(population, "draw", noting)
    monkeypatch.setattr(population, "generated", lambda: faces)
    for module in (population, pairs):
        monkeypatch.setattr(module, "cutouts", lambda *_: things())
    return kept


def test_no_thing_of_an_unseen_scene_stands_in_another_one(tmp_path: Path, drawn: list[Scene]):
    rows = population.population(tmp_path, Counts(scenes=80, spare=20), stamps=None, seed=0)

    scenes = rows[: len(drawn)]
    shown = {
        part: {name for row, s in zip(scenes, drawn, strict=True) if row.part == part for name in s.things}
        for part in (LEARN, SPARE, UNSEEN)
    }
    assert [row.part for row in scenes].count(UNSEEN) == 20
    assert [row.part for row in scenes].count(SPARE) == 20
    assert shown[UNSEEN] <= unseen_things(things(), 0)
    assert not shown[UNSEEN] & (shown[LEARN] | shown[SPARE])


def test_the_record_of_a_scene_says_what_is_wrong_with_it(tmp_path: Path, drawn: list[Scene]):
    rows = population.population(tmp_path, Counts(scenes=50, spare=10), stamps=None, seed=0)

    # 42 % of 12, of 10 and of 28 scenes, rounded.
    assert sum(row.label == "1" for row in rows[:50]) == 5 + 4 + 12
    assert all((row.kind in row.facts) == bool(row.kind) for row in rows)
    assert all(("two things" in row.facts) == (len(s.things) == 2) for row, s in zip(rows, drawn, strict=False))
    assert [(row.label, "a face" in row.facts) for row in rows[50:]] == [("1", True), ("", True)]
    assert population.read(tmp_path / "truth.csv") == rows


@pytest.mark.usefixtures("drawn")
def test_pairs_are_read_as_they_are_rendered(tmp_path: Path):
    n = pairs.render(tmp_path, tmp_path, n_things=3, stamps=None, seed=0)

    found = read_pairs(tmp_path / "pairs.csv")

    assert n == len(found.having) == 15
    assert found.attributes == tuple(sorted(KINDS))
    assert len(set(found.groups.tolist())) == 3
    names = [image.name for image in found.images]
    assert all("-on." in names[i] for i in found.having)
    assert all("-off." in names[i] for i in found.lacking)
