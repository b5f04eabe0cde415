"""What is estimated beforehand is what is then asked."""

import json

from standin.commands import Done, run
from standin.planted import Population


def test_as_many_requests_are_estimated_as_are_then_made(planted: Population, done: Done):
    told = run("estimate", planted.folder, "--models", "seer", "--json")

    assert told.code == 0
    assert json.loads(told.out)["models"][0]["requests"] == len(done.questions)


def test_the_plan_stands_beside_its_alternatives_in_whole_columns(planted: Population):
    told = run("estimate", planted.folder, "--models", "gpt-5", "--features", "2-3", "--interval", "0.2")

    assert told.code == 0
    assert "a feature with gpt-5" in told.out
    assert "score --per-call 24 " in told.out
    assert "--detail low" in told.out
    assert "where no feature reaches the interval" in told.out
    assert "…" not in told.out
