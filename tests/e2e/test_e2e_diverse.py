"""`explain --candidates 8 --diverse` with an explainer that has a favourite phrase: what it misses alone is found."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from standin.commands import Command, run
from standin.favourite import favourite
from standin.mind import as_text
from standin.planted import Population, kinds
from standin.records import explanations, failures, scores, timeless
from standin.server import StandIn

from autointerp.dump.reader import open_dump
from autointerp.schema import Explanation, Scored
from autointerp.scoring.distractors import normal

TWO, ONE = (1, 3, 4), (0, 2)
"""Features of two concepts, and of one."""
DIVERSE = ("--candidates", "8", "--diverse")
JUDGED = (*DIVERSE, "--embedder", "none")


@dataclass(frozen=True)
class Trial:
    """The same features explained in three ways, and scored."""

    folder: Path
    planted: Population
    same_asked: dict[str, int]
    """Questions whether two texts mean the same, by run."""
    embedded: list[str]
    """Texts whose vectors were asked for."""

    def said(self, name: str) -> dict[int, Explanation]:
        return explanations(self.folder / name)

    def scored(self, name: str) -> dict[int, Scored]:
        return {f: s for f, s in scores(self.folder / name).items() if isinstance(s, Scored)}


@pytest.fixture(scope="module")
def trial(mixed: Population, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """`plain`, `best` of eight, `diverse` (an embeddings endpoint helps), `judged` (the judge alone does)."""
    folder, asked = tmp_path_factory.mktemp("trial"), {}
    with StandIn(text_of=favourite) as server:
        vectors = ("--embedder", "vectors", "--embedder-base-url", server.url)
        ways = {"plain": (), "best": DIVERSE[:2], "diverse": (*DIVERSE, *vectors), "judged": JUDGED}
        usual = ("--cache", folder / "cache", "--concurrency", "8")
        for name, options in ways.items():
            where = ("--run", folder / name, "--model", "seer", "--base-url", server.url)
            result = run("explain", mixed.folder, *where, *usual, *options)
            assert result.code == 0, result.err
            asked[name] = len(server.questions("same"))
            server.calls.clear()
            result = run("score", folder / name, *usual)
            assert result.code == 0, result.err
            server.calls.clear()
    return Trial(folder, mixed, asked, server.embedded)


def meant(explanation: Explanation) -> set[frozenset[tuple[str, str]]]:
    """The kinds of object of each explanation kept."""
    return {kinds(text) for text in explanation.parts or (explanation.text,)}


def test_one_explanation_finds_one_concept_and_so_does_the_best_of_eight(trial: Trial) -> None:
    for name in ("plain", "best"):
        said, scored = trial.said(name), trial.scored(name)
        for f, feature in enumerate(trial.planted.features):
            assert kinds(said[f].text) in {kinds(part) for part in feature.name.split(" or ")}
            assert said[f].parts == scored[f].parts == ()
        assert all(0.2 < float(scored[f].details["recall"] or 0) < 0.95 for f in TWO), name
        assert all(scored[f].value == 1 for f in ONE)


@pytest.mark.parametrize("name", ["diverse", "judged"])
def test_diverse_keeps_both_concepts_and_their_disjunction_scores_1(trial: Trial, name: str) -> None:
    said, scored = trial.said(name), trial.scored(name)

    for f, feature in enumerate(trial.planted.features):
        assert meant(said[f]) == {kinds(part) for part in feature.name.split(" or ")}
        assert kinds(said[f].text) == feature.pairs
        sampled = said[f].sampled
        assert sampled is not None
        assert sampled.beats_chance
        assert (said[f].mixed, len(said[f].parts)) == ((True, 2) if f in TWO else (False, 0))
        assert scored[f].value == 1


def test_each_part_recalls_the_share_of_the_images_that_show_it(trial: Trial) -> None:
    scored = trial.scored("diverse")

    for f in TWO:
        assert scored[f].details["union_f1"] == 1
        active = [v for v in scored[f].verdicts if v.active]
        whole = sum(v.weight for v in active)
        for part in scored[f].parts:
            fits = {s.image for s in trial.planted.scenes if s.pairs & kinds(part.text)}
            # An image may show both, and the crop of it one alone.
            both = {s.image for s in trial.planted.scenes if len(s.pairs & trial.planted.features[f].pairs) > 1}
            most = sum(v.weight for v in active if v.image in fits) / whole
            least = sum(v.weight for v in active if v.image in fits - both) / whole
            assert least - 1e-9 <= part.recall <= most + 1e-9
            assert (part.precision, least > 0.1, most < 0.95) == (1, True, True)
        recalls = [part.recall for part in scored[f].parts]
        assert sum(recalls) - float(scored[f].details["overlap"] or 0) == pytest.approx(1)
    assert all(scored[f].parts == () for f in ONE)


def test_paraphrases_are_one_meaning_of_which_one_wording_is_judged(trial: Trial) -> None:
    """Feature 4: several wordings each of "green circle" and of "red triangle"."""
    sampled = trial.said("diverse")[4].sampled
    assert sampled is not None

    first, second = sampled.clusters

    for cluster in (first, second):
        members = [sampled.candidates[i] for i in cluster.members]
        assert len({kinds(m.text) for m in members}) == 1
        assert len({normal(m.text) for m in members}) > 1
        assert {normal(m.text) for m in members if m.score is not None} == {
            normal(sampled.candidates[cluster.best].text)
        }
    assert max(first.size, second.size) > 4


def test_an_embedder_and_the_judge_tell_the_same_meanings_apart(trial: Trial) -> None:
    by_vectors, by_judge = ({f: e.sampled for f, e in trial.said(n).items()} for n in ("diverse", "judged"))

    assert by_vectors == by_judge
    # Half of what "square" means is "red square": no other pair is between the thresholds.
    assert trial.same_asked["diverse"] <= 5 < trial.same_asked["judged"]
    assert trial.same_asked["plain"] == trial.same_asked["best"] == 0
    assert len(trial.embedded) == len(set(trial.embedded)) > 8


@pytest.mark.parametrize("name", ["best", "diverse"])
def test_nothing_is_scored_on_images_of_the_choice_or_their_twins(trial: Trial, name: str) -> None:
    twin = {row.image: row.group or row.image for row in open_dump(trial.planted.folder).images(range(300))}
    everything = [s for scorer in ("detection", "accuracy") for s in scores(trial.folder / name, scorer).values()]
    said = trial.said(name)

    for score in everything:
        sampled = said[score.feature].sampled
        assert isinstance(score, Scored)
        assert sampled is not None
        assert len(sampled.judged_on) > 20
        used = (*said[score.feature].images, *said[score.feature].contrast, *sampled.judged_on)
        assert not {twin[v.image] for v in score.verdicts} & {twin[i] for i in used}
        assert {i for c in sampled.candidates for i in c.images} <= set(said[score.feature].images)
        assert not set(sampled.judged_on) & set(said[score.feature].images)


def test_the_report_shows_every_explanation_kept(trial: Trial, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    result = run("report", trial.folder / "diverse", "--out", page)

    assert result.code == 0, result.err
    shown = page.read_text()
    for explanation in trial.said("diverse").values():
        assert all(text in shown for text in explanation.parts or (explanation.text,))
    assert failures(trial.folder / "diverse") == []


def test_the_same_seed_gives_the_same_lines_with_an_empty_cache(
    trial: Trial, explain: Command, fond: StandIn, tmp_path: Path
) -> None:
    again = explain(*JUDGED, dump=trial.planted.folder)

    assert again.code == 0
    assert max(fond.answered.values()) == 1
    assert timeless(tmp_path / "run")[0] == timeless(trial.folder / "judged")[0]


def test_as_many_requests_are_estimated_as_are_then_made(
    trial: Trial, explain: Command, score: Command, seer: StandIn
) -> None:
    """Of features with one concept, in eight wordings each: no two are the same words, and all have one meaning."""
    seer.text_of = lambda question, value: as_text(
        value | ({"explanation": f"{value['explanation']}, try {question.seed}"} if question.task == "explain" else {})
    )
    few, controls = ("--features", "0,2"), ("--controls", "0")

    def requests(*options: str) -> int:
        told = run("estimate", trial.planted.folder, *few, *options, *controls, "--models", "seer", "--json")
        return json.loads(told.out)["models"][0]["requests"]

    explain(*few, *DIVERSE[:2], dump=trial.planted.folder)
    score(*controls)
    assert requests(*DIVERSE[:2]) == len(seer.calls) > 2 * 8 * 4
    # Three sheets of four meanings in the place of eight wordings, and two more of two contenders.
    assert requests(*DIVERSE) == len(seer.calls) - 2 * (8 * 3 - 4 * 3 - 2 * 2)


def test_an_estimate_says_what_it_takes_for_granted_about_candidates(trial: Trial) -> None:
    usual = ("estimate", trial.planted.folder, "--features", "0", "--models", "seer")

    with_them, without = run(*usual, "--diverse"), run(*usual)

    assert (with_them.code, without.code) == (0, 0)
    assert "with candidates: as if no two had the same words and one were kept" in with_them.out
    assert "candidates" not in without.out


def test_a_forecast_prices_the_judge_of_candidates_by_itself(
    trial: Trial, explain: Command, fond: StandIn, tmp_path: Path
) -> None:
    """A million tokens cost $1000 with either, or nothing with the judge."""
    few, usual = ("--features", "0"), (*JUDGED, "--candidate-judge", "other", "--budget", "$900")

    def forecast(judge: float) -> float:
        rows = {"seer": {"input": 1000, "output": 1000}, "other": {"input": judge, "output": judge}}
        (tmp_path / "prices.json").write_text(json.dumps(rows))
        said = explain(*few, *usual, "--prices", tmp_path / "prices.json", dump=trial.planted.folder, to=f"at-{judge}")
        assert said.code == 0, said.err
        return float(said.err.partition("estimated: $")[2].partition(" ")[0])

    assert forecast(1000) > 1.1 * forecast(0)
