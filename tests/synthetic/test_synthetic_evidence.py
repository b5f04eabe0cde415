from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autointerp.dump.reader import open_dump
from autointerp.schema import BAND_STRATA, Box
from autointerp.synthetic.concepts import Concept, Counts, Has, holds_all, meant
from autointerp.synthetic.drawing import boxes_of
from autointerp.synthetic.evidence import (
    ACTIVE_ABOVE,
    Wanted,
    activations,
    heat_of,
    inclusion,
    plant,
    shown_images,
    systematic,
    write_dump,
)
from autointerp.synthetic.scenes import draw_scenes

SCENES = draw_scenes(3000, 0)
RED_CIRCLE = Concept("a red circle", Has((("colour", "red"), ("shape", "circle"))))
FOUR = Concept("exactly four objects", Counts(4))


def test_it_fires_exactly_where_the_concept_holds():
    level = activations(RED_CIRCLE, SCENES, 0)

    assert np.array_equal(level > ACTIVE_ABOVE, holds_all(RED_CIRCLE, SCENES))
    assert np.array_equal(level.astype(np.float32), level)
    assert np.array_equal(level, activations(RED_CIRCLE, SCENES, 0))


def test_top_is_the_strongest_and_the_bands_go_down_from_q9():
    feature = plant(RED_CIRCLE, SCENES, number=0, width=1)

    by = {name: [e.activation for e in feature.exemplars if e.stratum == name] for name in ("top", *BAND_STRATA)}
    assert len(by["top"]) == 20
    assert feature.row.max_activation == max(by["top"])
    order = ["top", *reversed(BAND_STRATA)]
    assert all(min(by[a]) >= max(by[b]) for a, b in pairwise(order))


def test_active_exemplars_stand_for_every_image_that_fires():
    feature = plant(RED_CIRCLE, SCENES, number=0, width=1)

    assert feature.row.n_active == holds_all(RED_CIRCLE, SCENES).sum() > 200
    assert sum(1 / e.probability for e in feature.active) == pytest.approx(feature.row.n_active)
    assert feature.row.histogram is not None
    assert sum(feature.row.histogram) == feature.row.n_active


def test_exemplars_are_active_exactly_where_the_concept_holds_and_come_once():
    feature = plant(RED_CIRCLE, SCENES, number=0, width=1)

    assert all(bool(meant(RED_CIRCLE, SCENES.scene(e.image))) is not e.silent for e in feature.exemplars)
    assert len(shown_images([feature])) == len(feature.exemplars)


def test_guided_images_come_nearer_to_the_concept_than_uniform_ones():
    feature = plant(RED_CIRCLE, SCENES, number=0, width=1)

    guided = [e.activation for e in feature.exemplars if e.stratum == "guided"]
    uniform = [e.activation for e in feature.exemplars if e.stratum == "silent"]
    assert np.mean(guided) > 0.5 > 0.3 > np.mean(uniform)


def test_a_silent_row_states_the_chance_of_coming_in_by_either_draw():
    few = draw_scenes(40, 1)
    wanted, rounds = Wanted(top=2, band=0, silent=6, guided=6), 1500
    came: dict[int, int] = {}
    said: dict[int, float] = {}

    for seed in range(rounds):
        for e in plant(RED_CIRCLE, few, number=0, width=1, seed=seed, wanted=wanted).negatives:
            came[e.image] = came.get(e.image, 0) + 1
            said[e.image] = e.probability

    # Four standard errors of a share over 1500 rounds are at most 0.052.
    assert len(said) > 30
    assert max(abs(came[i] / rounds - p) for i, p in said.items()) < 0.052


def test_inclusion_is_in_proportion_to_worth_and_at_most_certain():
    assert inclusion(np.array([1.0, 1.0, 2.0]), 1).tolist() == [0.25, 0.25, 0.5]
    assert inclusion(np.array([1.0, 1.0, 8.0]), 2).tolist() == [0.5, 0.5, 1.0]
    assert inclusion(np.array([0.0, 1.0, 1.0]), 5).tolist() == [0.0, 1.0, 1.0]
    assert inclusion(np.array([0.0, 0.0]), 1).tolist() == [0.0, 0.0]


def test_the_systematic_draw_takes_as_many_as_the_probabilities_add_up_to():
    probability = np.array([0.5, 0.5, 1.0, 0.25, 0.75])

    drawn = [systematic(probability, np.random.default_rng(seed)) for seed in range(800)]

    assert {len(set(d.tolist())) for d in drawn} == {3}
    shares = np.bincount(np.concatenate(drawn), minlength=5) / 800
    assert shares == pytest.approx(probability, abs=0.07)


def test_heat_is_full_where_a_box_covers_a_cell():
    heat = np.frombuffer(heat_of([Box(32, 0, 64, 16)]), np.uint8).reshape(8, 8)

    # The box fills the upper half of the second cell of the first row; the strongest cell is 255.
    assert heat[0, 1] == 255
    assert np.all(np.delete(heat.ravel(), 1) == 6)


def test_marks_are_heat_or_the_box_of_what_is_meant():
    boxed = plant(FOUR, SCENES, number=0, width=1, marks="box").exemplars[0]
    bare = plant(FOUR, SCENES, number=0, width=1, marks="none").exemplars[0]

    boxes = boxes_of(SCENES.scene(boxed.image))
    assert boxed.box == Box(
        min(b.x0 for b in boxes), min(b.y0 for b in boxes), max(b.x1 for b in boxes), max(b.y1 for b in boxes)
    )
    assert (boxed.heat, bare.box, bare.heat) == (None, None, None)


def test_a_planted_dump_reads_back(tmp_path: Path):
    wanted = Wanted(top=3, band=1, silent=4, guided=4)
    features = [plant(c, SCENES, number=i, width=2, wanted=wanted) for i, c in enumerate((RED_CIRCLE, FOUR))]

    write_dump(tmp_path / "dump", "planted", "2026-01-31T12:00:00Z", SCENES, features)

    dump = open_dump(tmp_path / "dump")
    assert (dump.info.n_images, dump.info.n_latents, dump.info.patch_grid) == (3000, 2, (8, 8))
    assert list(dump.features()) == features
    (row,) = dump.images([features[0].exemplars[0].image])
    assert "red circle" in (row.label or "")
    assert (row.width, row.height) == (256, 256)
