"""Recorded verdicts give what was recorded, and what is counted anew differs where it should."""

import json

import pytest

from benchmarks.truth.replayed import ABOVE, RECORDED, half, table, today

VERDICTS = json.loads(RECORDED.read_text())


@pytest.mark.parametrize(
    ("feature", "recorded"),
    [("42", 0.6423777564717162), ("642", 0.21497249314678157), ("830", 0.40697525314415683)],
)
def test_half_a_yes_for_each_unsure_answer_gives_the_figures_of_that_run(feature: str, recorded: float):
    assert half(VERDICTS[feature]) == pytest.approx(recorded, abs=1e-9)


def test_unsure_answers_about_heavy_silent_images_no_longer_count_as_false_yes():
    words = VERDICTS["830"]
    unsure = [w for _, stratum, _, belief, w in words if belief == 0.5 and stratum in ("silent", "guided")]

    # Of 2,521 images a single one of these answers stood for 50.
    assert max(unsure) > 50
    assert today(words).value > half(words) + 0.4
    assert today(words).low < half(words)


def test_images_near_the_threshold_are_left_out_of_the_last_columns():
    near = [a / ABOVE for _, stratum, a, _, _ in VERDICTS["621"] if stratum in ("silent", "guided") and a > 0.7 * ABOVE]

    assert near
    assert today(VERDICTS["621"], 0.7).value > today(VERDICTS["621"]).value + 0.3
    assert table({"621": VERDICTS["621"]}).splitlines()[-1].startswith("| mean |")
