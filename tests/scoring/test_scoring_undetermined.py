"""What `score` says of features whose interval holds a good explanation and a useless one at once."""

from collections.abc import Iterator
from pathlib import Path
from weakref import ref

import pytest

import autointerp.demo
from autointerp.dump.reader import Dump, open_dump
from autointerp.schema import Scored, Verdict
from autointerp.scoring.undetermined import LOOKED_AT, undetermined


@pytest.fixture
def dump() -> Iterator[Dump]:
    with open_dump(Path(autointerp.demo.__file__).parent / "dump") as opened:
        yield opened


def scored(feature: int, low: float, high: float, *, n_silent: int = 1, scorer: str = "detection") -> Scored:
    silent = Verdict(image=1, active=False, stratum="silent", belief=0.0, weight=1.0)
    about = {"n": 1, "details": {}, "controls": {}, "judge": "m", "prompt": "p", "created": "2026-01-31T12:00:00Z"}
    bounds = {"value": (low + high) / 2, "low": low, "high": high}
    verdicts = (silent,) * n_silent
    return Scored.model_validate({"feature": feature, "scorer": scorer, "verdicts": verdicts, **bounds, **about})


def test_the_last_score_of_a_feature_holds_and_other_scorers_say_nothing(dump: Dump):
    first, second, third = dump.feature_ids[:3].tolist()
    scores = [
        scored(first, 0.0, 0.2),
        scored(first, 0.2, 0.8),
        scored(second, 0.7, 0.9),
        scored(third, 0.0, 1.0, scorer="choice"),
    ]

    (said,) = undetermined(scores, lambda: dump)

    # (.5 + .8) / 2, and .8 alone.
    assert said == (
        "1 of 2 features is undetermined: the interval of detection is wider than 0.5 (mean 0.650, 0.800 without "
        "them); judge more images with --interval, --silent or --screen"
    )


def test_where_all_silent_rows_are_judged_the_pool_has_more(dump: Dump):
    feature = int(dump.feature_ids[0])
    n = len(dump.feature(feature).negatives)

    (one_left,) = undetermined([scored(feature, 0.0, 1.0, n_silent=n - 1)], lambda: dump)
    (with_pool,) = undetermined([scored(feature, 0.0, 1.0, n_silent=n)], lambda: dump)
    dump.pool = None
    (without,) = undetermined([scored(feature, 0.0, 1.0, n_silent=n)], lambda: dump)

    assert one_left.endswith("; judge more images with --interval, --silent or --screen")
    assert "; their silent rows are all judged: take more from the dump's pool, with --guide text" in with_pool
    assert without.endswith("; the dump holds no further silent images: harvest or import more of them (--silent)")


def test_what_is_looked_at_are_features_whose_last_score_is_undetermined(dump: Dump):
    features = dump.feature_ids[: LOOKED_AT + 1].tolist()
    redone = [scored(feature, 0.4, 0.6) for feature in features[:LOOKED_AT]]

    (said,) = undetermined([*(scored(feature, 0.0, 1.0) for feature in features), *redone], lambda: dump)

    assert said.startswith(f"1 of {len(features)} features is undetermined")
    assert said.endswith("; judge more images with --interval, --silent or --screen")


def test_no_score_is_held_once_it_is_read(dump: Dump):
    read: list[ref[Scored]] = []

    def scores() -> Iterator[Scored]:
        for feature in dump.feature_ids.tolist():
            score = scored(feature, 0.0, 1.0)
            read.append(ref(score))
            yield score

    def open_again() -> Dump:
        assert [one for one in read if one() is not None] == []
        return dump

    assert len(undetermined(scores(), open_again)) == 1
    assert len(read) == dump.n_features > 1


def test_where_every_interval_is_narrow_the_dump_is_not_opened():
    def never() -> Dump:
        raise AssertionError

    assert undetermined([scored(1, 0.4, 0.9)], never) == []
