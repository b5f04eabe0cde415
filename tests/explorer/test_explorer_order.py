"""What the list finds and in which order is what a slow reading of the run says."""

from pathlib import Path

import pytest
from exports.exports_world import info_of, write_dump
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report.report_world import explained, failed, scored, unscored

from autointerp.dump.reader import Dump, open_dump
from autointerp.explorer.index import Index
from autointerp.explorer.index_rows import Listing
from autointerp.explorer.query import Query
from autointerp.runs.folder import RunWriter
from autointerp.runs.parts import open_with_parts
from autointerp.schema import Scored

N = 8
WORDS = ("red", "wheel", "sand", "snow")
SCORES = (0.0, 0.25, 0.5, 0.7, 1.0)


@pytest.fixture(scope="module")
def dump(tmp_path_factory) -> Dump:
    return open_dump(write_dump(tmp_path_factory.mktemp("dump") / "dump"))


TEXT = st.none() | st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
SCORE = st.none() | st.just("unscored") | st.sampled_from(SCORES)
FEATURES = st.lists(st.tuples(TEXT, SCORE, st.booleans()), min_size=N, max_size=N)
"""Of each feature: what is said of it, its score, and whether explaining failed before."""
NARROWED = st.one_of(
    st.sampled_from(["red", "red wheel", "wheel -red", "wh", "3"]).map(lambda q: {"q": q}),
    st.sampled_from(["one", "none", "failed", "unexplained"]).map(lambda state: {"state": state}),
    st.sampled_from(["scored", "unscored", "not asked"]).map(lambda scored: {"scored": scored}),
    st.sampled_from(SCORES).map(lambda low: {"score_from": low}),
    st.sampled_from(SCORES).map(lambda high: {"score_to": high}),
    st.just({"width": 4}),
)
SORTED = st.fixed_dictionaries({"sort": st.sampled_from(["feature", "score"]), "down": st.sampled_from(["", "0", "1"])})


def slowly(folder: Path, query: Query) -> list[int]:
    """Goes through all features, one by one."""
    run = open_with_parts(folder)
    texts = {e.feature: e for e in run.explanations()}
    scores = {s.feature: s for s in run.scores()}
    failing = {f.feature for f in run.open_failures()}

    def state(f: int) -> str:
        if f in texts:
            return "none" if texts[f].none else "one"
        return "failed" if f in failing else "unexplained"

    def value(f: int) -> float | None:
        own = scores.get(f)
        return own.value if isinstance(own, Scored) else None

    def matches(f: int) -> bool:
        said = texts[f].text.split() if f in texts else []
        wanted = [word for word in query.q.split() if not word.startswith("-")]
        unwanted = [word[1:] for word in query.q.split() if word.startswith("-")]
        if query.q == str(f):
            return True
        whole, last = wanted[:-1], wanted[-1]
        begun = any(word.startswith(last) for word in said)
        return begun and all(word in said for word in whole) and not any(word in said for word in unwanted)

    def kept(f: int) -> bool:
        known, status = value(f), scores[f].status if f in scores else "not asked"
        return (
            (not query.q or matches(f))
            and query.state in ("", state(f))
            and query.scored in ("", status)
            and (query.score_from is None or (known is not None and known >= query.score_from))
            and (query.score_to is None or (known is not None and known <= query.score_to))
            and (query.width is None or f < 4)
        )

    found = [f for f in range(N) if kept(f)]
    if query.sort == "feature":
        return found[::-1] if query.down == "1" else found
    sign = 1 if query.down == "0" else -1
    return sorted(found, key=lambda f: (value(f) is None, sign * (value(f) or 0.0), f))


@given(FEATURES, st.lists(NARROWED, max_size=2), SORTED)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_the_list_is_that_of_a_slow_reading(
    tmp_path_factory, dump: Dump, of: list[tuple], narrowed: list[dict], order: dict
):
    folder = tmp_path_factory.mktemp("world") / "run"
    query = Query(**{name: value for one in (*narrowed, order) for name, value in one.items()})
    with RunWriter(folder, info_of(Path(str(dump.path)))) as writer:
        for feature, (text, score, has_failed) in enumerate(of):
            if has_failed:
                writer.failure(failed(feature))
            if text is not None:
                writer.explanation(explained(feature, text))
            if score is not None:
                writer.score(unscored(feature) if score == "unscored" else scored(feature, score))
    index = Index(dump, open_with_parts(folder), str(folder.resolve()), folder.parent / "cache")

    assert Listing(index).numbers(query).tolist() == slowly(folder, query)
