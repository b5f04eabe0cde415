"""A run over features that were explained before is the same run, whether its outcomes are kept or worked out."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from standin.commands import Command
from standin.mind import Question, as_text
from standin.planted import Population
from standin.server import StandIn

from autointerp.explanation.explainer import Explainer
from autointerp.explanation.replays import Replays
from autointerp.lmm.cache import Cache
from autointerp.lmm.exchanges import Heard
from autointerp.runs.exchanges import ExchangeLine
from autointerp.schema import Explanation


def lines(run: Path) -> dict[str, list[dict[str, object]]]:
    """Of each file, by feature, without the time."""
    return {name: _lines(run / f"{name}.jsonl") for name in ("explanations", "exchanges", "failures")}


def _lines(file: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return sorted(({**line, "created": ""} for line in found), key=lambda line: str(line["feature"]))


def forget(cache: Path) -> int:
    """Removes the outcomes from a cache; says how many there were."""
    with closing(sqlite3.connect(cache / "answers" / "cache.db")) as file, file:
        return file.execute("DELETE FROM Cache WHERE key LIKE 'outcome:%'").rowcount


OPTIONS = [(), ("--no-exchanges",), ("--domain", "physical-plausibility", "--n-shuffled", "4")]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "without exchanges", "second pass"])
def test_kept_outcomes_give_the_same_run_as_working_them_out(
    explain: Command, planted: Population, seer: StandIn, tmp_path: Path, options: tuple[str, ...]
):
    options = ("--cache", str(tmp_path / "cache"), *options)
    explain(*options, to="first")
    asked = len(seer.calls)
    explain(*options, to="kept")
    # Features of which a shuffled set is asked too are worked out.
    assert forget(tmp_path / "cache") == (8 if "--n-shuffled" in options else 12)
    result = explain(*options, "--json", to="worked-out")

    assert json.loads(result.out)["done"] == 12
    assert lines(tmp_path / "kept") == lines(tmp_path / "worked-out") == lines(tmp_path / "first")
    assert len(seer.calls) == asked


def test_where_outcomes_are_kept_no_question_is_composed(
    explain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    explain("--cache", str(tmp_path / "cache"), to="first")
    monkeypatch.delattr(Explainer, "explain")

    said = json.loads(explain("--cache", str(tmp_path / "cache"), "--json", to="second").out)

    assert (said["done"], said["cached"]) == (12, 12)


@pytest.mark.parametrize("options", [("--top", "6"), ("--seed", "1"), ("--model", "other")])
def test_outcomes_of_other_settings_are_not_found(
    explain: Command, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    explain("--cache", str(tmp_path / "cache"), "--features", "0-3", to="first")
    hits: list[int] = []
    find = Replays.find
    monkeypatch.setattr(Replays, "find", lambda *of: hits.append(1) if (said := find(*of)) else said)

    result = explain("--cache", str(tmp_path / "cache"), "--features", "0-3", *options, to="second")

    assert (result.code, hits) == (0, [])


def test_a_question_that_was_asked_twice_is_worked_out_once_more_and_then_kept(
    explain: Command, seer: StandIn, tmp_path: Path
):
    def twice(question: Question, value: dict[str, object]) -> str:
        return "no idea" if len(seer.calls) == 1 else as_text(value)

    seer.text_of = twice
    options = ("--cache", str(tmp_path / "cache"), "--features", "3")
    for to in ("first", "worked-out", "kept"):
        explain(*options, to=to)

    assert lines(tmp_path / "kept") == lines(tmp_path / "worked-out")
    assert forget(tmp_path / "cache") == 1


def test_an_outcome_does_not_go_with_an_answer_that_another_process_was_given_meanwhile(
    explain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keep = Replays.keep

    async def overtaken(
        self: Replays, made: Explanation, line: ExchangeLine | None, heard: Heard, cache: Cache
    ) -> None:
        for key in heard.answers:
            stored = cache.get(key)
            assert stored is not None
            await cache.put(key, {**stored, "text": f"{stored['text']} "})
        await keep(self, made, line, heard, cache)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Replays, "keep", overtaken)
        explain("--cache", str(tmp_path / "cache"), to="first")
    explain("--cache", str(tmp_path / "cache"), to="second")
    assert forget(tmp_path / "cache") == 12
    explain("--cache", str(tmp_path / "cache"), to="worked-out")

    assert lines(tmp_path / "second") == lines(tmp_path / "worked-out")
