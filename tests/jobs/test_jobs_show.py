"""A feature in a notebook."""

from builders import feature, several

from autointerp.jobs.show import FeatureView
from autointerp.schema import PartScore, Scored


def part(text: str, recall: float) -> PartScore:
    return PartScore(text=text, value=0.5, low=0.25, high=0.75, precision=1.0, recall=recall)


def test_each_explanation_of_several_stands_under_the_score_of_all():
    score = Scored(
        feature=3,
        scorer="detection",
        value=1.0,
        low=0.8,
        high=1.0,
        n=40,
        details={},
        controls={},
        parts=(part("red <b>circle</b>", 0.6), part("blue square", 0.4)),
        judge="m",
        prompt="0" * 12,
        created="2026-01-31",
    )
    view = FeatureView(feature(()), several("red <b>circle</b>", "blue square"), (score,), b"")

    lines = view._repr_html_().split("<br>")

    assert lines[1] == "red &lt;b&gt;circle&lt;/b&gt;; or blue square"
    assert lines[2:5] == [
        "detection: 1.00 [0.80, 1.00]",
        "&emsp;red &lt;b&gt;circle&lt;/b&gt;: 0.50 [0.25, 0.75], precision 1.00, recall 0.60",
        "&emsp;blue square: 0.50 [0.25, 0.75], precision 1.00, recall 0.40",
    ]


def test_an_undetermined_score_is_shown_as_such():
    about = {
        "feature": 3,
        "scorer": "detection",
        "n": 60,
        "details": {},
        "controls": {},
        "judge": "m",
        "prompt": "0" * 12,
    }
    score = Scored.model_validate(about | {"value": 1.0, "low": 0.1, "high": 1.0, "created": "2026-01-31"})

    lines = FeatureView(feature(()), None, (score,), b"")._repr_html_().split("<br>")

    assert lines[1] == "detection: 1.00 [0.10, 1.00] undetermined"
