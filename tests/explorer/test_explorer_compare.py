"""Two runs side by side: where they differ most comes first."""

from dataclasses import replace
from pathlib import Path

import pytest
from explorer.explorer_world import asking, opened
from exports.exports_world import info_of, write_dump
from report.report_world import explained, scored, unscored

from autointerp.explorer.compare import apart, balance, pairs
from autointerp.explorer.index_lines import Key
from autointerp.explorer.index_rows import Figure
from autointerp.explorer.query import Query
from autointerp.explorer.viewed import Viewed
from autointerp.runs.folder import RunWriter

KEY = Key("detection", "judge-1")


def write(path: Path, dump: Path, word: str, values: dict[int, float | None]) -> Path:
    with RunWriter(path, info_of(dump)) as writer:
        for feature, value in values.items():
            writer.explanation(explained(feature, f"a {word} thing"))
            writer.score(unscored(feature) if value is None else scored(feature, value))
    return path


@pytest.fixture
def what(tmp_path: Path):
    dump = write_dump(tmp_path / "dump")
    one = write(tmp_path / "one", dump, "red", {0: 0.5, 1: 0.5, 2: 0.25, 3: None})
    two = write(tmp_path / "two", dump, "blue", {0: 0.75, 1: 0.4, 2: 0.25, 3: 0.5})
    with opened(one, two, cache=tmp_path / "cache") as found:
        yield found


def test_features_that_differ_most_come_first_whichever_run_is_higher(what: Viewed):
    order = what.listing.numbers(Query(sort="difference")).tolist()

    assert order[:3] == [0, 1, 2]
    assert what.listing.numbers(Query(differs=0.0)).tolist() == [0, 1, 2]
    assert what.listing.numbers(Query(differs=0.2)).tolist() == [0]


def test_the_mean_difference_is_over_features_that_both_have_scored(what: Viewed):
    found = balance(what, KEY, KEY)

    assert found is not None
    assert (found.difference.n, found.higher, found.lower) == (3, 1, 1)
    assert found.difference.value == pytest.approx(0.05)  # of +0.25, −0.1 and 0


def test_the_interval_of_a_difference_is_made_of_both():
    one, other = Figure("scored", 0.5, 0.2, 0.9), Figure("scored", 0.6, 0.3, 0.9)

    found = apart(one, other)

    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1 - 0.5)  # 0.3 and 0.4 at a right angle
    assert found.high == pytest.approx(0.1 + (0.3**2 + 0.3**2) ** 0.5)
    assert apart(Figure("unscored", 0, 0, 0), other) is None


def test_the_page_shows_both_texts(what: Viewed):
    asked = asking(what)

    page = asked.get("/compare").text

    assert page.count("a red thing") == page.count("a blue thing") == 4
    assert page.index('data-feature="0"') < page.index('data-feature="1"') < page.index('data-feature="2"')
    assert 'style="' not in page
    assert asked.get("/?sort=difference").status_code == 200


def test_one_run_has_nothing_to_be_compared_with(tmp_path: Path):
    run = write(tmp_path / "run", write_dump(tmp_path / "dump"), "red", {0: 0.5})
    with opened(run, cache=tmp_path / "cache") as what:
        answer = asking(what).get("/compare")

    assert answer.status_code == 404
    assert "autointerp view RUN RUN2" in answer.text


def test_scores_of_different_scorers_are_never_subtracted(tmp_path: Path):
    dump = write_dump(tmp_path / "dump")
    with RunWriter(tmp_path / "one", info_of(dump)) as writer:
        for feature in (0, 1):
            writer.explanation(explained(feature))
            writer.score(scored(feature, 0.5))
            writer.score(scored(feature, 0.9, "choice"))
    two = write(tmp_path / "two", dump, "blue", {0: 0.25})
    query = Query(by="choice@judge-1", sort="difference")

    with opened(tmp_path / "one", two, cache=tmp_path / "cache") as what:
        row = what.listing.row(0, query)
        found = what.listing.numbers(replace(query, differs=0.0)).tolist()
        shown = pairs(what, query, 0)[0]
        page = asking(what).get(f"/compare?by={query.by}").text

    assert row is not None
    assert (row.score.known, row.second is not None and row.second.known) == (True, False)
    assert (found, shown.difference, shown.other.score.known) == ([], None, False)
    assert "second run less the first" not in page


def test_of_two_runs_by_different_judges_scores_of_one_scorer_are_compared(tmp_path: Path):
    dump = write_dump(tmp_path / "dump")
    for name, judge, value in (("one", "judge-1", 0.25), ("two", "judge-2", 0.75)):
        with RunWriter(tmp_path / name, info_of(dump)) as writer:
            writer.explanation(explained(0))
            writer.score(scored(0, 0.5, judge=judge))
            writer.score(scored(0, value, "choice", judge=judge))

    with opened(tmp_path / "one", tmp_path / "two", cache=tmp_path / "cache") as what:
        (pair, *_) = pairs(what, Query(by="choice@judge-1"), 0)

    assert pair.difference is not None
    assert pair.difference.value == 0.5
