"""Imports of top lists on the command line: what they print, what they refuse, and what can be done with the dumps."""

import json
from pathlib import Path

import pytest
from standin.commands import run
from standin.top_lists import draw_images, save_milan, save_mt, save_semanticlens


@pytest.fixture
def images(here: Path) -> Path:
    return draw_images(here / "images")


def test_an_import_says_what_it_took_for_what_and_what_is_not_covered(images: Path, here: Path):
    save_semanticlens(here / "cache", 6)

    said = run("import", "semanticlens", "cache", "dump", "--images", "images")

    assert said.code == 0
    assert said.out.splitlines() == [
        "aggregate_max-6-sae: 12 images -> dump",
        "activations are aggregate_max",
        "row 0 is taken for blue/blue_1.png, row 11 for red/red_4.png",
        "only the stratum top is covered: of 1 feature the source keeps the 6 strongest images at most; scores say "
        "nothing of others that fire, whose number is unknown, and detection leaves it unscored, since which images "
        "are silent is unknown; import again with --assume-silent to draw some all the same",
        "next: autointerp explain dump --run RUN --model MODEL --allow-outside",
    ]
    told = json.loads(run("import", "semanticlens", "cache", "other", "--images", "images", "--json").out)
    assert told["top_only"] == {"k": 6, "n_full": 1, "counted": False, "drawn": False, "assumed_silent": False}
    assert run("inspect", "dump", "--check", "--allow-outside").code == 0


def test_an_import_without_its_images_is_refused_in_one_line_and_leaves_nothing(images: Path, here: Path):
    save_semanticlens(here / "cache", 6)
    before = sorted(here.iterdir())

    said = run("import", "semanticlens", "cache", "dump")

    assert said.code == 2
    assert said.err.count("\n") == 1
    assert said.err.startswith("autointerp: --images: cache names images by their row alone; give the data set that")
    assert sorted(here.iterdir()) == before


def test_dumps_that_hold_their_images_need_no_trust(images: Path, here: Path):
    save_mt(here / "mt", images)
    save_milan(here / "exemplars/conv", images)

    tree = run("import", "mt", "mt", "a", "--widths", "2,8")
    exemplars = run("import", "milan", "exemplars", "b")

    assert "attribute: images of the data set human_error; another with --attribute" in tree.out.splitlines()
    assert tree.out.splitlines()[-1] == "next: autointerp explain a --run RUN --model MODEL"
    assert exemplars.out.splitlines()[-1] == "next: autointerp explain b --run RUN --model MODEL"
    for dump in ("a", "b"):
        assert run("inspect", dump, "--check").code == 0


def test_nothing_is_left_of_an_import_that_finds_no_image_it_can_read(images: Path, here: Path):
    save_semanticlens(here / "cache", 6)
    for file in images.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:40])
    before = sorted(here.iterdir())

    said = run("import", "semanticlens", "cache", "dump", "--images", "images")

    assert said.code == 2
    assert "none of the 12 images that are named can be read; the first: " in said.err
    assert sorted(here.iterdir()) == before
