"""What a job is estimated to take, held against rows that can be worked out by hand."""

from pathlib import Path

import pytest
from standin.planted import plant

from autointerp.commands.estimate import estimate
from autointerp.errors import SettingsError
from autointerp.jobs.estimate import Alternative, Forecast
from autointerp.settings import ExplainSettings, ScoreSettings

CHOSEN = "2-5"
PRICES = '["seer"]\ninput = 1.0\noutput = 2.0\n'


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve features; of each of those chosen 24 active and 16 silent images or more are held out."""
    return plant(tmp_path_factory.mktemp("estimated") / "dump").folder


def rows(found: Forecast) -> dict[str, Alternative]:
    return {a.options or a.name: a for a in found.alternatives}


def asked(dump: Path, **changes: object) -> Forecast:
    scoring = ScoreSettings.model_validate({"n_controls": 0, "n_silent": 12} | changes)
    return estimate(dump, models=("gpt-4o",), features=CHOSEN, score=scoring)


def test_a_feature_is_one_question_to_the_explainer_and_its_sheets_to_the_judge(dump: Path):
    alone = estimate(dump, models=("gpt-4o",), features=CHOSEN, scoring=False)
    found = asked(dump)

    # 24 active and 12 silent images in sheets of 12 are three calls.
    assert alone.models[0].requests == 4
    assert found.models[0].requests == 4 + 4 * 3


def test_a_feature_with_one_image_of_a_kind_will_not_be_explained_so_that_it_is_not_scored_either(tmp_path: Path):
    few = plant(tmp_path / "few", n_top=1, n_band=1).folder

    found = estimate(few, models=("gpt-4o",), features=CHOSEN, score=ScoreSettings(n_controls=0, min_active=2))

    assert (found.features, found.models[0].requests) == (4, 0)


def test_controls_are_counted_for_as_many_features_as_carry_them(dump: Path):
    found = asked(dump, n_controls=1)

    # Five rivals of one feature, on its three sheets.
    assert found.models[0].requests == 4 + 4 * 3 + 1 * 5 * 3


def test_shuffled_sets_are_counted_for_as_many_features_as_have_one(dump: Path):
    settings = ExplainSettings(domain="physical-plausibility", n_shuffled=3)

    found = estimate(dump, models=("gpt-4o",), features=CHOSEN, explain=settings, scoring=False)

    # Four explanations, four second passes, three of them once more.
    assert found.models[0].requests == 4 + 4 + 3


def test_scorers_that_ask_questions_of_their_own_are_counted(dump: Path):
    found = asked(dump, scorers=("detection", "intruder", "choice"), n_intruder=2, n_intruder_hard=1, n_choice=3)

    # Two odd-one-out questions a feature and one with a look-alike; three pairs, each in both orders.
    assert found.models[0].requests == 4 + 4 * (3 + 2 + 1 + 2 * 3)


@pytest.mark.parametrize("layout", ["sheet", "separate"])
def test_an_enlarged_place_beside_each_image_costs_no_further_question(dump: Path, layout: str):
    found = asked(dump, rendering="zoom", layout=layout)

    assert found.models[0].requests == 4 + 4 * 3


def test_a_screening_is_counted_with_the_careful_look_at_single_images(dump: Path):
    found = asked(dump, n_screen=16, screen_per_call=30, n_silent=10)

    # 24 active and 16 silent images on two sheets, then the active ones and ten of the silent ones one by one.
    assert found.models[0].requests == 4 + 4 * (2 + 24 + 10)


def test_a_budget_for_each_feature_is_counted_as_it_would_be_spent(dump: Path):
    found = asked(dump, budget_per_feature=4)

    # Two fire on a sixth of the images and take four sheets, two on more than a third and take three as without it.
    assert found.models[0].requests == 4 + 2 * 4 + 2 * 3


def test_an_interval_to_reach_gives_a_range_from_right_explanations_to_all_calls_that_are_allowed(dump: Path):
    found = asked(dump, interval=0.3, max_calls=4).models[0]

    assert found.most is not None
    # Three calls for the first 36 images, one more for as many as are left, which ends the four that are allowed.
    assert 4 + 4 * 3 <= found.requests <= found.most.requests == 4 + 4 * 4


def test_each_alternative_differs_from_the_plan_in_one_thing(dump: Path):
    scoring = ScoreSettings(n_controls=4, n_silent=12)

    found = estimate(dump, models=("gpt-4o",), features=CHOSEN, score=scoring)

    by = rows(found)
    plan = by["the plan"].a_feature
    assert plan.requests == 1 + 3 + 5 * 3
    # One image a request: 36, and as many for each of five rivals.
    assert by["score --per-call 1"].a_feature.requests == 1 + 36 + 5 * 36
    assert by["score --per-call 24"].a_feature.requests == 1 + 2 + 5 * 2
    assert by["score --controls 0"].a_feature.requests == 1 + 3
    assert by["--detail low"].a_feature.requests == plan.requests
    # Tiles of 512 px are what low detail saves, 170 tokens each.
    pictures = plan.input_tokens - by["--detail low"].a_feature.input_tokens
    assert pictures > 0
    assert pictures % 170 == 0


def test_a_batch_job_takes_the_same_tokens_at_half_the_price_where_the_provider_says_so(dump: Path):
    found = estimate(dump, models=("gpt-4o", "own"), features=CHOSEN)

    plan, batch = (a.a_feature for a in found.alternatives if a.model == "gpt-4o" and not a.options)
    assert batch.input_tokens == plan.input_tokens
    assert plan.dollars is not None
    assert batch.dollars == pytest.approx(plan.dollars / 2)
    assert [a.a_feature.dollars for a in found.alternatives if a.model == "own"] == [None] * (
        len(found.alternatives) // 2
    )


def test_dollars_are_the_tokens_times_the_stated_price(dump: Path, tmp_path: Path):
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)

    found = estimate(dump, models=("seer",), features=CHOSEN, prices=prices).models[0]

    assert found.dollars == pytest.approx((found.input_tokens + 2 * found.output_tokens) / 1e6, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scorers": ("magic",)}, "scorers magic: no such scorer"),
        ({"n_active": 2}, "active=2: too few"),
        ({"interval": 0.1, "n_screen": 40}, "interval with screen"),
    ],
)
def test_what_score_would_refuse_is_not_estimated(dump: Path, changes: dict[str, object], problem: str):
    with pytest.raises(SettingsError, match=problem):
        asked(dump, **changes)
