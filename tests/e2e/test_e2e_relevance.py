"""Relevance over a planted run: tested effects, false discoveries and the rate of false positives."""

import json
import shutil
from pathlib import Path

import pytest
from standin.commands import Command, Done
from standin.mind import Question, as_text
from standin.planted import FEATURES, Population
from standin.records import explanations, scores
from standin.relevance import discoveries, false_positive_rate
from standin.server import StandIn

from autointerp.runs.folder import open_run
from autointerp.schema import Scored

POINTED = [f for f, planted in enumerate(FEATURES) if all(shape == "triangle" for _, shape in planted.pairs)]
DOMAIN = ("--domain", "physical-plausibility")


def test_features_about_the_attribute_are_discovered_and_no_others(planted: Population, done: Done):
    base = sum(any(shape == "triangle" for _, shape in s.pairs) for s in planted.scenes) / len(planted.scenes)

    found = discoveries(open_run(done.run).scores())

    assert found.n_tested == 12
    assert set(POINTED) <= set(found.discovered.tolist())
    for feature, record in scores(done.run, "relevance").items():
        assert isinstance(record, Scored)
        assert record.details["lift"] == pytest.approx(record.value / base)
        assert record.details["base_rate_exact"] is True
        discovered = feature in found.discovered.tolist()
        assert not discovered or record.value > base, feature


def test_shuffled_sets_of_a_right_explainer_show_no_error(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path
):
    explained = explain(*DOMAIN)
    score("--scorers", "relevance")

    assert explained.code == 0
    assert len(seer.questions("domain")) == 24
    records = explanations(tmp_path / "run")
    for record in records.values():
        assert record.shuffled is not None
        assert not record.shuffled.found
        assert record.usage.calls == 3
    rate = false_positive_rate(open_run(tmp_path / "run").scores())
    assert rate is not None
    assert (rate.found.value, rate.n, rate.shuffled.value, rate.n_shuffled) == (3 / 12, 12, 0.0, 12)


def test_an_explainer_that_always_finds_an_error_is_found_out(
    seer: StandIn, explain: Command, score: Command, tmp_path: Path
):
    def credulous(question: Question, value: dict[str, object]) -> str:
        claim = {"observations": "hands everywhere", "found": True, "error": "six fingers", "category": "fingers"}
        more = claim if question.task == "domain" else {}
        return as_text(value | more)

    seer.text_of = credulous

    explain(*DOMAIN)
    score("--scorers", "relevance")

    rate = false_positive_rate(open_run(tmp_path / "run").scores())
    assert rate is not None
    assert (rate.found.value, rate.shuffled.value, rate.p) == (1.0, 1.0, 1.0)
    seen = {e.domain.observations for e in explanations(tmp_path / "run").values() if e.domain}
    assert seen == {"hands everywhere"}


def test_only_so_many_features_have_a_shuffled_set_and_none_without_a_domain(
    seer: StandIn, explain: Command, tmp_path: Path
):
    explain("--features", "0-2", to="plain")
    explain("--features", "0-2", *DOMAIN, to="domain")

    assert all(e.shuffled is None for e in explanations(tmp_path / "plain").values())
    assert all(e.shuffled is not None for e in explanations(tmp_path / "domain").values())
    assert len(seer.questions("domain")) == 6


def test_a_run_that_knew_no_shuffled_sets_goes_on(seer: StandIn, explain: Command, tmp_path: Path):
    explain("--features", "0-1", *DOMAIN)
    before = shutil.copytree(tmp_path / "run", tmp_path / "before")
    info = json.loads((before / "run.json").read_text())
    del info["explain"]["settings"]["n_shuffled"]
    (before / "run.json").write_text(json.dumps(info))

    again = explain("--features", "0-3", *DOMAIN, to="before")

    assert again.code == 0
    assert len(explanations(before)) == 4
    assert len(seer.questions("domain")) == 8


def test_a_refused_shuffled_set_leaves_the_feature_pending(seer: StandIn, explain: Command, tmp_path: Path):
    seen: list[Question] = []

    def refusing(question: Question, value: dict[str, object]) -> str:
        if question.task == "domain":
            seen.append(question)
            return "I'm sorry, but I can't look at that." if len(seen) % 2 == 0 else as_text(value)
        return as_text(value)

    seer.text_of = refusing
    failed = explain("--features", "2", *DOMAIN, "--concurrency", "1")
    seer.text_of = None
    again = explain("--features", "2", *DOMAIN)

    assert (failed.code, again.code) == (1, 0)
    stages = [f.stage for f in open_run(tmp_path / "run").failures()]
    assert stages == ["explain:shuffled"]
    assert open_run(tmp_path / "run").pending() == []
    assert list(explanations(tmp_path / "run")) == [2]
