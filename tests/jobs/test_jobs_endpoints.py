"""Who is asked, and where: decided once, for every command."""

from pathlib import Path

import numpy as np
import pytest

from autointerp.errors import SettingsError
from autointerp.jobs.endpoints import (
    admit_random,
    asking,
    candidates_at,
    embedder_at,
    explainer_at,
    given_here,
    judge_at,
    judge_name,
    scorers_at,
)
from autointerp.lmm.trust import admit, remember
from autointerp.runs.folder import Run
from autointerp.runs.info import FOREIGN, DumpReference, ExplainStage, RunInfo
from autointerp.settings import CandidateSettings, EngineSettings, ExplainSettings, ModelSettings, ScoreSettings
from autointerp.shards.shards import Shard

GPU1, GPU2, GPU3 = "http://gpu1:8000/v1", "http://gpu2:8000/v1", "http://gpu3:8000/v1"
OPENAI = "https://api.openai.com/v1"
ENGINE = EngineSettings()


def made(
    base_url: str | None = None, *, model: str = "m", settings: ExplainSettings | None = None, adopted: bool = False
) -> Run:
    """A run whose run.json names this server of its explainer."""
    stage = ExplainStage(
        model=ModelSettings(model=model, base_url=base_url),
        settings=settings or ExplainSettings(),
        prompts={FOREIGN: "abc"} if adopted else {"explain": "abc"},
    )
    dump = DumpReference(name="d", path="/d", digest="d" * 64, n_latents=8)
    return Run(Path("run"), RunInfo(version="1", created="2026-01-31", dump=dump, explain=stage))


def judged_at(run: Run | None, *given: str, model: str = "judge", trust: tuple[str, ...] = ()) -> list[str | None]:
    """Where a judge is asked for whom these servers are given."""
    first = given[0] if given else None
    asked, engine = judge_at(
        ModelSettings(model=model, base_url=first), EngineSettings(more_base_urls=given[1:]), run, trust=trust
    )
    return [asked.base_url, *engine.more_base_urls]


def test_a_judge_is_asked_where_it_is_said_to_be_else_by_the_environment_else_where_the_run_was_explained(
    monkeypatch: pytest.MonkeyPatch,
):
    remember([GPU1])
    run = made(GPU1)

    assert judged_at(run) == [GPU1]
    monkeypatch.setenv("AUTOINTERP_BASE_URL", f"{GPU2} {GPU3}")
    assert judged_at(run) == [GPU2, GPU3]
    monkeypatch.setenv("AUTOINTERP_JUDGE_BASE_URL", GPU3)
    assert judged_at(run) == [GPU3]
    assert judged_at(run, GPU2) == [GPU2]
    assert judged_at(run, OPENAI) == [OPENAI]


def test_a_key_in_the_environment_sends_no_judge_to_openai(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    remember([GPU1])

    assert judged_at(made(GPU1), model="gpt-5-mini") == [GPU1]


def test_where_nothing_names_a_server_openai_is_asked_by_its_full_address(monkeypatch: pytest.MonkeyPatch):
    assert judged_at(None) == judged_at(made(None)) == judged_at(made(None, adopted=True)) == [OPENAI]
    assert explainer_at(ModelSettings(model="m"), ENGINE)[0].base_url == OPENAI
    monkeypatch.setenv("OPENAI_BASE_URL", GPU1)
    assert judged_at(None) == judged_at(made(None)) == [GPU1]


def test_calibrating_obeys_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_BASE_URL", GPU1)

    assert judged_at(None) == [GPU1]


def test_an_explainer_does_not_ask_the_judges_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_JUDGE_BASE_URL", GPU2)
    assert explainer_at(ModelSettings(model="m"), ENGINE)[0].base_url == OPENAI
    monkeypatch.setenv("AUTOINTERP_BASE_URL", GPU1)
    assert explainer_at(ModelSettings(model="m"), ENGINE)[0].base_url == GPU1


def test_a_server_that_only_the_run_names_needs_a_yes_which_is_remembered():
    run = made(GPU1)

    with pytest.raises(SettingsError, match=rf"run/run.json names the server {GPU1}.*--trust-address {GPU1} once, or"):
        judged_at(run)
    assert judged_at(run, trust=(GPU1,)) == [GPU1]
    assert judged_at(run) == [GPU1]


def test_a_server_that_was_given_to_explain_needs_none():
    explainer_at(ModelSettings(model="m", base_url=GPU1), EngineSettings(more_base_urls=(GPU2,)))

    assert judged_at(made(GPU1)) == [GPU1]
    assert judged_at(made(GPU2)) == [GPU2]


def test_what_an_earlier_command_recorded_is_not_taken_for_given_here():
    explainer_at(ModelSettings(model="m", base_url=GPU1), ENGINE, given=False)

    with pytest.raises(SettingsError, match="never given"):
        admit([GPU1], named_by="run/batch/plan.json")


def test_an_address_in_run_json_that_cannot_be_used_is_named():
    with pytest.raises(SettingsError, match=r"run/run\.json: base_url holds a user name or password"):
        judged_at(made("http://me:pw@gpu1/v1"))


def test_the_embedded_model_is_asked_nowhere():
    run = made(GPU1)

    asked, engine = judge_at(ModelSettings(model="local"), ENGINE, run)

    assert (asked.base_url, engine.more_base_urls) == (None, ())
    assert list(asking(asked, engine, ModelSettings(model="local"))) == []


def test_a_run_of_the_embedded_model_names_no_server():
    assert judged_at(made(None, model="local@abc")) == [OPENAI]


def test_an_embedder_is_asked_where_the_judge_is_unless_it_is_elsewhere(monkeypatch: pytest.MonkeyPatch):
    judge = ModelSettings(model="m", base_url=GPU1)
    local = ModelSettings(model="local")

    assert embedder_at(ModelSettings(model="e"), judge).base_url == GPU1
    assert embedder_at(ModelSettings(model="e", base_url=f"{GPU2}/"), judge).base_url == GPU2
    assert embedder_at(local, judge) == local
    assert embedder_at(ModelSettings(model="e"), local).base_url == OPENAI
    monkeypatch.setenv("AUTOINTERP_BASE_URL", GPU3)
    assert embedder_at(ModelSettings(model="e"), local).base_url == GPU3


def test_settings_carry_the_server_of_an_embedder_that_is_asked():
    judge, embedder = ModelSettings(model="m", base_url=GPU1), ModelSettings(model="e")
    scoring = ScoreSettings(embedder=embedder)
    explaining = ExplainSettings(candidates=CandidateSettings(diverse=True, embedder=embedder))
    alone = ExplainSettings(candidates=CandidateSettings(diverse=False, embedder=embedder))

    assert scorers_at(scoring, ("embedding",), judge).embedder.base_url == GPU1
    assert scorers_at(scoring, ("detection", "unknown"), judge) == scoring
    guided = scoring.model_copy(update={"guide": "text"})
    assert scorers_at(guided, ("detection",), judge).embedder.base_url == GPU1
    assert scorers_at(guided, ("choice",), judge) == guided
    placed = candidates_at(explaining, judge).candidates
    assert placed is not None
    assert placed.embedder is not None
    assert placed.embedder.base_url == GPU1
    assert candidates_at(alone, judge) == alone


def test_a_random_dump_is_explained_only_where_the_run_may_be_explained(monkeypatch: pytest.MonkeyPatch):
    diverse = ExplainSettings(
        candidates=CandidateSettings(diverse=True, embedder=ModelSettings(model="e", base_url=GPU2))
    )
    run = made(GPU1, settings=diverse)
    admit_random(run, None)

    with pytest.raises(SettingsError, match=GPU1):
        admit_random(run, "random")
    with pytest.raises(SettingsError, match=GPU2):
        admit_random(run, "random", trust=(GPU1,))
    admit_random(run, "random", trust=(GPU2,))


def test_the_judge_is_the_explainer_unless_another_is_named():
    assert judge_name(made(GPU1).info, None) == "m"
    assert judge_name(made(GPU1).info, "other") == "other"
    with pytest.raises(SettingsError, match="explanations were adopted, so there is no explainer to ask"):
        judge_name(made(adopted=True).info, None)


def test_who_is_asked_is_told_in_a_printable_line_for_each_model():
    judge = ModelSettings(model="m\x1b[2J", base_url=GPU1)

    assert list(asking(judge, EngineSettings(more_base_urls=(GPU2,)), ModelSettings(model="e", base_url=GPU3))) == [
        f"asking m [2J at {GPU1}, {GPU2}",
        f"asking e at {GPU3}",
    ]


def test_what_another_process_dealt_was_not_given_here():
    assert given_here(None, None)
    assert given_here(Shard(0, 8), None)
    assert not given_here(Shard(0, 8, np.arange(3)), None)
