"""What the report says of several sampled explanations of a feature."""

from pathlib import Path

import pytest
from builders import sampled
from report_pages import HOSTILE, page_of
from report_world import World, explained, scored, unscored

from autointerp.candidates import Candidate, Cluster, Sampled, disjunction
from autointerp.reports.aggregates import aggregate
from autointerp.reports.cards import Meanings, meanings_of
from autointerp.reports.figures import Figure, sampled_figures
from autointerp.schema import Explanation, PartScore, Scored

RED, BLUE, VAGUE = "red circle", "blue square", "a shape"


def candidate(text: str, score: float | None = 0.5, p: float | None = 0.004) -> Candidate:
    return Candidate(text=text, concepts=(text,), images=(0,), score=score, p=p)


def cluster(*members: int, kept: bool, score: float, p: float = 0.004, adds: bool = True) -> Cluster:
    return Cluster(members=members, best=members[0], score=score, p=p, kept=kept, adds=adds)


EIGHT = Sampled(
    asked=10,
    none=1,
    failed=1,
    candidates=(*[candidate(RED)] * 5, *[candidate(BLUE, 0.8)] * 2, candidate(VAGUE, 0.1, 0.4)),
    clusters=(
        cluster(5, 6, kept=True, score=0.8),
        cluster(0, 1, 2, 3, 4, kept=True, score=0.5),
        cluster(7, kept=False, score=0.1, p=0.4),
    ),
    # 5·4 + 2·1 of the 8·7 ordered pairs.
    collapse=22 / 56,
    beats_chance=True,
    judged_on=tuple(range(100, 116)),
)
"""Five say red circle, two blue square, one something vague."""


def said(feature: int = 1, found: Sampled = EIGHT, **more: object) -> Explanation:
    text = disjunction([c.text for c in found.kept]) or "a red wheel"
    return explained(feature, **({"text": text, "sampled": found} | more))  # pyright: ignore[reportArgumentType]


def part(text: str, value: float, recall: float) -> PartScore:
    return PartScore(text=text, value=value, low=value - 0.1, high=value + 0.1, precision=0.9, recall=recall)


def judged(feature: int = 1) -> Scored:
    return scored(feature, 0.75, parts=(part(BLUE, 0.5, 0.4), part(RED, 0.7, 0.6)))


def meant(explanation: Explanation, score: Scored | None = None) -> Meanings:
    found = meanings_of(explanation, score)
    assert found is not None
    return found


def figures(world: World) -> dict[str, Figure]:
    return {f.title: f for f in sampled_figures(aggregate(world.data()))}


def card(explanation: Explanation, score: Scored, folder: Path) -> str:
    """The words of a card about what was sampled."""
    page = page_of(World(explanations=[explanation], scores=[score]), folder)
    words = " ".join(page.text.split())
    return words[words.index("xplanation", words.index("log height")) :]


def test_each_kept_explanation_has_its_own_figures():
    found = meant(said(), judged())

    blue, red = found.kept
    assert [m.best.text for m in found.kept] == [BLUE, RED]
    assert blue.figures == part(BLUE, 0.5, 0.4)
    assert red.figures == part(RED, 0.7, 0.6)


def test_what_was_not_kept_has_no_figures_of_its_own():
    (vague,) = meant(said(), judged()).dropped

    assert (vague.best.text, vague.figures) == (VAGUE, None)


def test_a_meaning_is_told_with_how_often_it_was_said_and_by_what_it_was_chosen(tmp_path: Path):
    words = card(said(), judged(), tmp_path)

    assert "red circle said 5 of 8 times · chosen with score 0.50, p = .004" in words
    assert "said 62 %" in words
    assert "Meanings not kept (1) a shape said 1 of 8 times · score 0.10, p = .40 said 12 %" in words


def test_collapse_chance_and_replies_are_told_in_words(tmp_path: Path):
    words = card(said(), judged(), tmp_path)

    assert words.startswith("xplanations kept 2 of 3 meanings, 8 candidates sampled")
    assert (
        "The explainer was asked 10 times; 1 of the replies saw no common property; 1 of the replies could not be used."
        " Collapse index 0.39: two candidates drawn at random mean the same in 39 % of draws."
        " Each explanation kept beats chance on the 16 images kept for choosing."
    ) in words


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (1.0, "Collapse index 1.00: all candidates mean the same."),
        (0.0, "Collapse index 0.00: no two candidates mean the same."),
        (None, ""),
    ],
)
def test_a_collapse_index_at_its_ends_needs_no_percentage(index: float | None, words: str, tmp_path: Path):
    told = card(said(found=sampled(RED, collapse=index)), judged(), tmp_path)

    assert words in told
    assert ("Collapse index" in told) == (index is not None)
    assert "% of draws" not in told


def test_one_kept_explanation_has_the_wholes_figures():
    score = scored(1, 0.5, details={"precision": 0.25, "recall": 0.75})

    (only,) = meant(said(found=sampled(RED, dropped=[BLUE])), score).kept

    assert only.figures is not None
    assert (only.figures.value, only.figures.precision, only.figures.recall) == (0.5, 0.25, 0.75)


def test_an_unscored_feature_has_meanings_and_no_figures():
    found = meanings_of(said(), unscored(1))

    assert found is not None
    assert [m.figures for m in found.kept] == [None, None]


def test_where_nothing_beat_chance_the_one_shown_is_only_the_best_there_was(tmp_path: Path):
    explanation = said(found=sampled(dropped=[RED, BLUE], chance=False), text=BLUE)

    found = meant(explanation)

    assert [m.best.text for m in found.kept] == [BLUE]
    assert [m.best.text for m in found.dropped] == [RED]
    assert "this is only the best there was." in card(explanation, judged(), tmp_path)


def test_where_only_the_best_was_wanted_the_other_candidates_are_folded_away(tmp_path: Path):
    best = Sampled(asked=3, candidates=(candidate(RED, 0.2), candidate(BLUE, 0.7), candidate(VAGUE, None, None)))
    explanation = said(found=best, text=BLUE)

    found, words = meant(explanation), card(explanation, judged(), tmp_path)

    assert [(m.best.text, m.cluster) for m in found.kept] == [(BLUE, None)]
    assert words.startswith("xplanation kept the best of 3 candidates sampled blue square")
    assert "Candidates not kept (2) red circle score 0.20, p = .004 a shape not scored" in words


def test_where_all_replies_saw_nothing_in_common_none_is_kept(tmp_path: Path):
    explanation = said(found=Sampled(asked=8, none=8), text="", none=True)

    words = card(explanation, judged(), tmp_path)

    assert meant(explanation).kept == ()
    assert words.startswith(
        "xplanation kept no candidate came The explainer was asked 8 times; 8 of the replies saw no common property."
    )
    assert "chance" not in words[: words.index("How it came about")]


def test_an_explanation_that_was_not_sampled_has_no_meanings():
    assert meanings_of(explained(1), scored(1, 0.5)) is None


def test_a_card_shows_the_whole_the_parts_and_the_fold_out(world: World, tmp_path: Path):
    world.explanations, world.scores = [said()], [judged()]

    page = page_of(world, tmp_path)

    words = " ".join(page.text.split())
    card = words[words.index("Feature 1 fires on") :]
    for text in (
        "blue square; or red circle",
        "Detection, weighted F1 0.75",
        "Explanations kept 2 of 3 meanings",
        "F1 0.50 0.40 to 0.60 precision 0.90 recall 0.40",
        "said 25 %",
        "Meanings not kept (1) a shape",
    ):
        assert text in card
    bars = [attrs["width"] for attrs in page.all("rect") if attrs.get("class") == "part"]
    assert bars == ["25.0%", "62.5%", "12.5%"]


def test_a_run_without_sampled_explanations_has_no_trace_of_them(world: World, tmp_path: Path):
    world.explanations, world.scores = [explained(1), explained(2)], [scored(1, 0.5)]
    page_of(world, tmp_path)
    plain = (tmp_path / "report.html").read_text()
    world.explanations = [said(), explained(2)]
    page_of(world, tmp_path)
    sampled_one = (tmp_path / "report.html").read_text()

    traces = ('class="meanings"', "Collapse", 'class="shares"')

    assert [trace for trace in traces if trace in plain] == []
    assert [trace for trace in traces if trace in sampled_one] == list(traces)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_candidates_add_no_tag_and_no_attribute(text: str, tmp_path: Path):
    def told(word: str) -> World:
        found = sampled(word, f"{word}.", dropped=[word])
        parts = (part(word, 0.5, 0.4), part(f"{word}.", 0.5, 0.4))
        # The disjunction is told elsewhere; whether it is escaped is not in question here.
        return World(explanations=[said(found=found, text="two")], scores=[scored(1, 0.5, parts=parts)])

    plain = page_of(told("harmless"), tmp_path)

    page = page_of(told(text), tmp_path)

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attrs) for _, attrs in page.tags] == [sorted(attrs) for _, attrs in plain.tags]


def test_the_summary_counts_features_by_explanations_that_beat_chance(world: World):
    world.explanations = [
        said(1),
        said(2, sampled(RED, collapse=1.0)),
        said(3, sampled(RED, BLUE, VAGUE, collapse=0.0)),
        said(4, Sampled(asked=8, none=8), text="", none=True),
        said(5, sampled(dropped=[RED], collapse=1.0, chance=False), text=RED),
        explained(6),
    ]

    figure = figures(world)["Features with several explanations"]

    assert figure.estimate is not None
    assert figure.estimate.value == 0.4
    assert figure.basis == ("features by explanations told apart: one 1 · two 1 · three or more 1 · none 2")


ALTERNATIVE = EIGHT.model_copy(
    update={
        "clusters": (EIGHT.clusters[0], cluster(0, 1, 2, 3, 4, kept=True, score=0.5, adds=False), EIGHT.clusters[2])
    }
)
"""Red circle beats chance too, and was not told apart from blue square."""


def test_an_alternative_that_was_not_told_apart_is_no_further_explanation(world: World, tmp_path: Path):
    explanation = said(1, ALTERNATIVE)
    world.explanations = [explanation, said(2)]

    found, figure = meant(explanation, judged()), figures(world)["Features with several explanations"]

    assert (explanation.text, explanation.parts) == (BLUE, ())
    assert [[m.best.text for m in of] for of in found] == [[BLUE], [RED], [VAGUE]]
    assert figure.basis == "features by explanations told apart: one 1 · two 1 · three or more 0 · none 0"
    words = card(explanation, judged(), tmp_path)
    assert words.startswith("xplanation kept 1 of 3 meanings, 8 candidates sampled")
    assert "Alternatives that were not told apart (1) red circle said 5 of 8 times" in words


def test_the_summary_has_the_mean_collapse_index_of_those_that_have_one(world: World):
    world.explanations = [said(1, sampled(RED, collapse=c, dropped=[BLUE])) for c in (0.25, 0.75)]
    world.explanations = [
        e.model_copy(update={"feature": i})
        for i, e in enumerate([*world.explanations, said(found=sampled(RED, collapse=None))])
    ]

    figure = figures(world)["Collapse index"]

    assert figure.estimate is not None
    assert (figure.estimate.value, figure.basis) == (0.5, "mean over 2 features")


def test_the_most_frequent_meaning_may_not_be_the_best(world: World):
    # Of feature 1 red is said most and blue scores best; of feature 2 all are equal.
    world.explanations = [said(1), said(2, sampled(RED, BLUE))]

    figure = figures(world)["Most frequent is not the best"]

    assert figure.estimate is not None
    assert (figure.estimate.value, figure.basis) == (0.5, "1 of 2 features")


def test_of_a_feature_explained_again_the_last_explanation_counts(world: World):
    world.explanations = [said(1), said(2), explained(1)]

    kept = aggregate(world.data()).column("explain", "kept")

    assert kept.known.tolist() == [2.0]


def test_a_run_without_sampled_explanations_has_no_figures_of_them(world: World):
    world.explanations = [explained(1)]

    assert figures(world) == {}
