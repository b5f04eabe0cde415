"""What `score` says of features that have an explanation and no score."""

from autointerp.schema import Score, Scored, Unscored
from autointerp.scoring.unscored import UnscoredReasons

FEW = "held-out active images, 5 are needed; show fewer"
NONE = "the explainer found no common property"
AT = "2026-01-31T12:00:00Z"


def without(feature: int, reason: str, scorer: str = "detection") -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason=reason, judge="m", created=AT)


def scored(feature: int) -> Scored:
    figures = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 1, "details": {}, "controls": {}}
    return Scored.model_validate(
        {"feature": feature, "scorer": "detection", "judge": "m", "prompt": "p", "created": AT, **figures}
    )


def said(*scores: Score) -> list[str]:
    counting = UnscoredReasons()
    assert list(counting.counted(scores)) == list(scores)
    return counting.lines()


def test_each_reason_is_told_once_with_its_features_scorers_and_least_and_most():
    lines = said(
        without(3, NONE),
        without(0, f"4 {FEW}"),
        without(0, f"4 {FEW}", "accuracy"),
        without(1, f"2 {FEW}"),
        without(2, f"3 {FEW}"),
    )

    assert lines == [
        f"3 features are not scored by accuracy, detection: 2 to 4 {FEW}",
        f"1 feature is not scored by detection: {NONE}",
    ]


def test_the_last_score_of_a_feature_holds():
    assert said(without(0, NONE), scored(0)) == []
    assert said(scored(0), without(0, f"0 {FEW}")) == [f"1 feature is not scored by detection: 0 {FEW}"]


def test_of_more_than_four_reasons_the_most_frequent_are_told():
    lines = said(without(8, "e"), without(9, "f"), *(without(i, "abcd"[i % 4]) for i in range(8)))

    assert [line[-1] for line in lines[:4]] == ["a", "b", "c", "d"]
    assert lines[4:] == ["scores.jsonl has 2 more reasons why features are not scored"]
