"""Distractors: other features' explanations, by images and words in common."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from builders import explanation

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.runs.index import ExplanationIndex
from autointerp.schema import Exemplar, FeatureRow
from autointerp.scoring import distractors
from autointerp.scoring.distractors import DistractorFinder, Distractors, normal

FIRES = {0: (0, 1, 2, 3), 1: (0, 1, 2, 9), 2: (0, 7, 8, 9), 3: (10, 11, 12, 13), 4: (14, 15, 16, 17), 5: (0, 1, 2, 3)}
"""Images that fire each feature: 1 shares three of five in all with 0, 2 one of seven, 5 all; 3 and 4 none."""
TEXTS = {0: "a red dog", 1: "a big wheel", 2: "an old boat", 3: "a grey stone", 4: "some red dog", 5: "A red dog!"}


def make(folder: Path, fires: Mapping[int, tuple[int, ...]] = FIRES) -> Dump:
    """A dump in which feature 3 is silent on the images that fire feature 0, the others on image 30."""
    info = DumpInfo(
        name="d",
        created="2026-01-31T12:00:00+00:00",
        created_by="tests",
        model="m",
        hookpoint="h",
        n_latents=64,
        widths=(64,),
        n_images=31,
        active_above=0.0,
    )
    with DumpWriter(folder, info) as writer:
        for i in range(31):
            writer.add_image(i, data=f"image {i}".encode(), size=(8, 8))
        for f, images in fires.items():
            rows = [Exemplar(i, 1.0, "top", 1.0, None, None) for i in images]
            silent = [Exemplar(i, 0.0, "silent", 0.1, None, None) for i in (FIRES[0] if f == 3 else (30,))]
            writer.add_feature(FeatureRow(f, 64, len(images), 1.0, None, None), [*rows, *silent])
    return open_dump(folder)


def said(folder: Path, texts: Mapping[int, str]) -> ExplanationIndex:
    """Explanations of features; an empty text is one without a common property."""
    records = [explanation(f, text=t).model_copy(update={"none": not t}) for f, t in texts.items()]
    file = folder.with_suffix(".jsonl")
    file.write_text("".join(r.model_dump_json() + "\n" for r in records))
    return ExplanationIndex(file)


def found(tmp_path: Path, texts: Mapping[int, str] = TEXTS, *, of: int = 0, seed: int = 0) -> Distractors:
    dump, index = make(tmp_path / f"dump-{of}-{seed}"), said(tmp_path / "texts", texts)
    return DistractorFinder(dump, index, seed=seed).of(dump.feature(of), index[of])


def test_neighbours_come_by_images_in_common_then_by_words_and_twins_last(tmp_path: Path):
    assert found(tmp_path).neighbours == ("a big wheel", "an old boat", "some red dog", "a grey stone", "A red dog!")


def test_a_rare_word_in_common_brings_nearer_than_a_frequent_one(tmp_path: Path):
    texts = {0: "the a red dog", 3: "the a cat", 4: "red", 1: "the a boat", 2: "the a car"}

    neighbours = found(tmp_path, texts).neighbours

    assert neighbours.index("red") < neighbours.index("the a cat")


def test_the_other_is_never_of_the_same_text(tmp_path: Path):
    others = {found(tmp_path, seed=seed).other for seed in range(12)}

    assert others <= {"a big wheel", "an old boat", "a grey stone", "some red dog"}
    assert len(others) > 1


def test_features_without_a_common_property_are_no_distractors(tmp_path: Path):
    others = found(tmp_path, {0: "a red dog", 1: "", 2: "an old boat"})

    assert others == Distractors("an old boat", ("an old boat",))


def test_a_lone_explanation_has_no_distractors(tmp_path: Path):
    assert found(tmp_path, {0: "a red dog"}) == Distractors(None, ())


def test_where_all_say_the_same_there_is_no_other_and_all_neighbours_are_twins(tmp_path: Path):
    others = found(tmp_path, dict.fromkeys(FIRES, "an object"))

    assert others == Distractors(None, ("an object",) * 5)


def test_neighbours_hold_one_text_that_differs_however_many_twins_are_nearer(tmp_path: Path):
    fires = {f: (7, 8, 9) for f in range(20)} | {20: (25, 26)}
    dump = make(tmp_path / "dump", fires)
    index = said(tmp_path / "texts", dict.fromkeys(range(20), "an object") | {20: "a dog"})

    neighbours = DistractorFinder(dump, index, seed=0).of(dump.feature(0), index[0]).neighbours

    assert neighbours == ("a dog", *("an object",) * 10)


def test_the_same_text_of_two_neighbours_is_one_distractor(tmp_path: Path):
    assert found(tmp_path, TEXTS | {2: "A big wheel"}).neighbours[:2] == ("a big wheel", "some red dog")


def test_nothing_is_read_before_distractors_are_asked_for_and_the_dump_once(tmp_path: Path):
    dump, index = make(tmp_path / "dump"), said(tmp_path / "texts", TEXTS)
    features = [dump.feature(f) for f in (0, 1)]
    before = dump.exemplar_parts.row_groups_read

    finder = DistractorFinder(dump, index, seed=0)
    untouched = dump.exemplar_parts.row_groups_read
    first, second = (finder.of(f, index[f.id]) for f in features)

    assert untouched == before
    assert dump.exemplar_parts.row_groups_read == before + 1
    assert first.neighbours[0] == "a big wheel"
    # Feature 1 shares three of five images with 0 and with 5, whose texts are the same but for case.
    assert second.neighbours[:2] == ("a red dog", "an old boat")


def test_the_pool_is_bounded_and_drawn_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distractors, "MAX_POOL", 3)

    pools = {found(tmp_path, seed=seed).neighbours for seed in range(8)}

    assert all(2 <= len(p) <= 3 for p in pools)
    assert len(pools) > 1


@pytest.mark.parametrize("text", ["A red  dog!", "a red dog", " a, red dog ."])
def test_case_spaces_and_punctuation_make_no_difference(text: str):
    assert normal(text) == "a red dog"
