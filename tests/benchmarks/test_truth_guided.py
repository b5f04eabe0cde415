"""The benchmark of guiding by text: what it plants is there, and it counts what it says."""

import numpy as np
import pytest

from autointerp.scoring.sampling import make_pool
from benchmarks.truth.coverage import DESIGNS, Urn
from benchmarks.truth.guided import LABEL, guided, kinds, rows, table
from benchmarks.truth.harvest import explanation_of, image_rows
from benchmarks.truth.world import GENERIC


def test_the_label_too_many_is_on_one_image_in_a_hundred_whatever_fires():
    urn = Urn(50_000, 0.01, 0)
    fits = kinds(urn)["and a label"]

    assert fits[urn.fires].all()
    assert np.mean(fits[~urn.fires]) == pytest.approx(LABEL, abs=0.002)


def test_a_better_embedder_puts_more_of_what_fits_in_the_first_classes():
    urn, protocol = Urn(50_000, 0.01, 0), DESIGNS["fixed"]
    feature = urn.harvest(protocol.size, 0)
    seen = explanation_of(feature, GENERIC).seen
    plain = make_pool(feature, seen, image_rows(feature), protocol.settings, grid=None, n_images=urn.n)
    fits = kinds(urn)["and a label"]

    found = []
    for auroc in (0.5, 0.97):
        pool = guided(urn, feature, plain, fits, auroc, 0)
        near = [image for image, number in pool.classes.items() if number <= 1]
        found.append(np.mean(fits[near]))
        assert sum(i.weight for i in pool.draw(24, 36).silent) == pytest.approx(urn.n - urn.n_active)
    assert found[0] < 0.1 < 0.25 < found[1]


def test_the_table_has_a_line_for_each_explanation_and_guide():
    lines = table(list(rows(0.01, 5_000, 2))).splitlines()

    # Three explanations by a guide of images and three of texts, below two lines of heading.
    assert len(lines) == 2 + 3 * 4
    assert {line.split(" | ")[3] for line in lines[2:]} == {
        "images",
        "text, AUROC 0.5",
        "text, AUROC 0.9",
        "text, AUROC 0.97",
    }
