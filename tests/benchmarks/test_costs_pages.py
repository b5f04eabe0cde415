"""The pages on costs and scale show what their benchmarks compute, by arithmetic that can be checked by hand."""

import json

import pytest

from benchmarks import scale, tokens_table
from benchmarks.scale import ENDPOINTS, FEATURES, SCHEMES, Endpoint, dollars, hours, whole
from benchmarks.token_levers import USUAL, Cost, common_prefix, cost_of, explaining, judging


def between(page: str, marks: tuple[str, str]) -> str:
    _, _, rest = page.partition(marks[0])
    return rest.partition(marks[1])[0].strip()


def test_the_page_on_costs_shows_the_benchmark_s_own_figures():
    page = tokens_table.PAGE.read_text()
    figures = json.loads((tokens_table.HERE / "tokens.json").read_text())

    assert between(page, tokens_table.MARKS) == tokens_table.table(figures)
    assert between(page, tokens_table.OTHER_MARKS) == tokens_table.not_built()


def test_the_page_on_scale_is_computed_from_the_measured_constants():
    assert between(scale.PAGE.read_text(), scale.MARKS) == scale.tables(scale.read())


def test_ten_million_features_by_default_are_sixty_million_calls():
    by_calls = [round(whole(scheme, "gpt-6-luna").requests / FEATURES) for scheme in SCHEMES]

    # One to explain; 60 images by one, twelve and twenty-four a call.
    assert by_calls == [61, 6, 4]


def test_hours_are_the_longer_of_tokens_and_requests():
    by = Endpoint("x", "m", 1.0, 2.0, 0.0, 1000.0, 1000.0, 60.0)

    assert hours(Cost(60, 3_000_000, 600_000), by) == 1.0
    assert hours(Cost(7200, 1000, 1000), by) == 2.0


def test_dollars_are_tokens_by_the_million_or_hours_of_a_server():
    hosted = Endpoint("x", "m", 1.0, 2.0, 0.0, 1e9, 1e9, 1e9)
    own = Endpoint("x", "m", 0.0, 0.0, 16.0, 1000.0, 100.0, float("inf"))

    assert dollars(Cost(1, 3_000_000, 500_000), hosted) == pytest.approx(4.0)
    # 3.6 million tokens read at 1,000 a second and 360,000 written at 100 a second, one after the other.
    assert dollars(Cost(1, 3_600_000, 360_000), own) == pytest.approx(2 * 16.0)


def test_the_assumed_batch_price_is_half_of_the_live_one():
    batch, live = (e for e in ENDPOINTS if e.model == "gpt-6-luna")

    assert (2 * batch.dollars_in, 2 * batch.dollars_out) == (live.dollars_in, live.dollars_out)


def test_a_sheet_counts_one_picture_and_as_many_verdicts_as_crops():
    sheet, single = cost_of(USUAL, 12, "gemma-3-27b"), cost_of(USUAL, 1, "gemma-3-27b")

    assert (sheet.requests, single.requests) == (1, 1)
    # Ten tokens around the verdicts, nine for each.
    assert (sheet.output_tokens, single.output_tokens) == (10 + 12 * 9, 10 + 9)
    assert sheet.input_tokens < 12 * single.input_tokens


def test_questions_of_two_features_begin_alike_as_far_as_the_first_word_that_differs():
    same, other = judging(12, "m", "a red disc"), judging(12, "m", "a blue disc")

    # The system message and "Description: a ".
    assert 40 < common_prefix(same, other) < 100
    assert common_prefix(same, other) < common_prefix(explaining("m"), explaining("m", 1000)) < 1024
