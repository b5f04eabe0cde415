"""Planted causes in a smaller population than the benchmark's."""

import json

import pytest

pytest.importorskip("torch")

from benchmarks.truth import causal
from benchmarks.truth.causal import Score, scores, summary, table
from benchmarks.truth.causal_world import LATENTS


@pytest.fixture(scope="module")
def found() -> list[Score]:
    return list(scores(1, 1, 150))


def of(found: list[Score], latent: str, measure: str) -> Score:
    return next(s for s in found if (s.latent, s.measure) == (latent, measure))


def test_a_cause_in_the_region_is_told_from_one_beside_it(found: list[Score]):
    values = {latent: tuple(round(of(found, latent, m).value, 1) for m in causal.MEASURES) for latent in LATENTS}

    assert values["local"] == (1.0, 1.0)
    assert values["displaced"] == (0.0, 0.0)
    assert values["redundant"][0] == 1.0
    assert 0.0 < values["redundant"][1] < 1.0
    assert values["context"][0] < 0.3
    assert values["context"][1] > 0.9
    assert 0.0 < values["mixed"][0] < 1.0


def test_the_truth_is_what_was_planted(found: list[Score]):
    assert [of(found, "displaced", m).truth for m in causal.MEASURES] == [0.0, 0.0]
    assert of(found, "redundant", "sufficiency").truth == 1.0
    # Half of the levels of its mark, from .4 to 1, are bright; of 30 pictures or so.
    assert 0.25 < of(found, "mixed", "sufficiency").truth < 0.9


def test_the_committed_table_is_that_of_the_committed_figures():
    rows = json.loads(causal.TABLE.read_text())
    page = causal.README.read_text()

    assert page.split(causal.MARKS[0])[1].split(causal.MARKS[1])[0].strip() == table(rows)
    assert {row["latent"] for row in rows} == set(LATENTS)


def test_an_interval_holds_a_truth_at_its_bound():
    one = Score("local", "sufficiency", 1.0, 1.0, 0.8, 1.0)

    assert (
        summary([Score(latent, m, 1.0, 1.0, 0.8, 1.0) for latent in LATENTS for m in causal.MEASURES])[0]["holds"] == 1
    )
    assert one.holds
    assert not Score("local", "sufficiency", 0.7, 1.0, 0.8, 1.0).holds
