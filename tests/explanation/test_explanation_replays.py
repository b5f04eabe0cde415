"""Outcomes are kept beside their answers, and hold as long as what they follow from is the same."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import explanation

from autointerp.explanation import replays as module
from autointerp.explanation.replays import Outcome, Replays
from autointerp.lmm.cache import Cache, stamp_of
from autointerp.lmm.exchanges import Heard
from autointerp.prompts import load_prompt
from autointerp.runs.exchanges import ExchangeLine

REPLAYS = Replays(place="d" * 64, made_by="p" * 64)
LINE = ExchangeLine(feature=3, stage="explain", created="2026-01-31T12:00:00Z", n=1, packed="eJw=")


def answer(key: str) -> dict[str, str]:
    return {"text": f"the {key} answer"}


def heard(**answers: bool) -> Heard:
    out = Heard(wanted=False)
    out.answers.update({key: stamp_of(key, answer(key)) if single else None for key, single in answers.items()})
    return out


def kept(cache: Cache, *, line: ExchangeLine | None = LINE, by: Replays = REPLAYS, single: bool = True) -> None:
    """Keeps that feature 3 is explained, by two answers."""

    async def main() -> None:
        for key in ("first", "second"):
            await cache.put(key, answer(key))
        await by.keep(explanation(), line, heard(first=True, second=single), cache)
        await by.write(cache)

    asyncio.run(main())


def found(cache: Cache, by: Replays = REPLAYS) -> Outcome | None:
    return by.find(3, cache)


@pytest.mark.parametrize("line", [LINE, None], ids=["with its exchanges", "without"])
def test_an_outcome_is_found_as_it_was_but_for_its_time(cache: Cache, line: ExchangeLine | None):
    kept(cache, line=line)

    outcome = found(cache)

    assert outcome is not None
    time = outcome.explanation.created
    assert time > explanation().created
    assert outcome.explanation == explanation().model_copy(update={"created": time})
    assert outcome.exchanges == (None if line is None else line.model_copy(update={"created": time}))
    assert outcome.n_answers == 2
    assert REPLAYS.find(4, cache) is None


@pytest.mark.parametrize("text", ["another answer", None])
def test_an_outcome_goes_with_any_answer_that_it_follows_from(cache: Cache, text: str | None):
    kept(cache)

    asyncio.run(cache.drop("second") if text is None else cache.put("second", {"text": text}))

    assert found(cache) is None


def test_an_outcome_of_other_settings_or_of_another_program_is_none(cache: Cache):
    kept(cache)

    assert found(cache, replace(REPLAYS, place="e" * 64)) is None
    assert found(cache, replace(REPLAYS, made_by="q" * 64)) is None


def test_the_features_are_those_of_these_settings_alone(cache: Cache):
    kept(cache)
    kept(cache, by=replace(REPLAYS, place="e" * 64))
    asyncio.run(cache.put(f"outcome:{'d' * 64}:all", {}))

    assert REPLAYS.features(cache).tolist() == [3]
    assert replace(REPLAYS, place="f" * 64).features(cache).tolist() == []


def test_an_outcome_of_another_program_is_replaced(cache: Cache):
    newer = replace(REPLAYS, made_by="q" * 64)
    kept(cache)
    kept(cache, by=newer)

    assert (found(cache) is None, found(cache, newer) is None) == (True, False)


def test_where_a_question_failed_or_was_asked_twice_nothing_is_kept(cache: Cache):
    kept(cache, single=False)

    assert found(cache) is None


def test_an_outcome_that_this_version_cannot_read_is_none(cache: Cache):
    kept(cache)
    row = cache.get(f"outcome:{'d' * 64}:3")
    assert row is not None

    other = explanation(4).model_dump_json()
    faults = (
        {"explanation": '{"feature": 3}'},
        {"explanation": other},
        {"answers": "{"},
        {"exchanges": '{"feature": 3}'},
    )
    for broken in faults:
        asyncio.run(cache.put(f"outcome:{'d' * 64}:3", row | broken))
        assert found(cache) is None


def test_the_program_is_told_from_one_with_another_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tiles.py").write_text("SIDE = 1\n")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    before = module.program_digest.__wrapped__()

    (tmp_path / "tiles.py").write_text("SIDE = 2\n")

    assert module.program_digest.__wrapped__() != before


@pytest.mark.parametrize(
    ("words", "whole"),
    [("Look.", True), ("{% include 'rules.jinja' %}", False), ("{%- extends 'base.jinja' %}", False)],
)
def test_a_template_that_takes_in_others_is_no_whole(tmp_path: Path, words: str, whole: bool):
    (tmp_path / "rules.jinja").write_text("Be brief.")
    (tmp_path / "base.jinja").write_text("")
    (tmp_path / "explain.jinja").write_text(
        f"{words}{{% block system %}}Rules{{% endblock %}}{{% block user %}}Say what.{{% endblock %}}"
    )

    assert load_prompt("explain", tmp_path).is_whole == whole
