"""Two runs compared by the command: what a reader sees, and the same as JSON."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from builders import explanation
from standin.commands import Done, run, says
from standin.planted import NAMES, Population
from standin.server import StandIn

from autointerp.commands.compare import compare
from autointerp.commands.score import score
from autointerp.jobs.adopt import adopt
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.schema import Scored, Unscored, Verdict
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings

WHEN = "2026-01-31T12:00:00Z"
Line = Scored | Unscored


def made(folder: Path, lines: Sequence[Line], *, dump: str = "d", judge: str = "j", n_top: int = 8) -> Path:
    """A run whose dump is long gone."""
    info = RunInfo(
        version="1",
        created=WHEN,
        dump=DumpReference(name=f"dump {dump}", path="/gone", digest=dump * 64, n_latents=100),
        explain=ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(n_top=n_top), prompts={}),
        score=ScoreStage(judge=ModelSettings(model=judge), settings=ScoreSettings(), prompts={}),
    )
    with RunWriter(folder, info) as writer:
        writer.explanation(explanation(0))
        for line in lines:
            writer.score(line)
    return folder


def scored(feature: int, value: float, *, scorer: str = "detection", verdicts: tuple[Verdict, ...] = ()) -> Scored:
    return Scored(
        feature=feature,
        scorer=scorer,
        value=value,
        low=0.0,
        high=1.0,
        n=10,
        details={},
        controls={},
        verdicts=verdicts,
        judge="j",
        prompt="p",
        created=WHEN,
    )


def unscored(feature: int, scorer: str = "detection") -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason="too few", judge="j", created=WHEN)


def judged(*beliefs: tuple[int, str, float]) -> tuple[Verdict, ...]:
    return tuple(Verdict(image=i, active=s != "silent", stratum=s, belief=c, weight=1.0) for i, s, c in beliefs)


def test_right_explanations_beat_a_run_in_which_half_are_wrong(
    planted: Population, done: Done, seer: StandIn, tmp_path: Path
):
    # Features 0 to 5 are described rightly, 6 to 11 by the name of the next one.
    said = [name if i < 6 else NAMES[(i + 1) % 12] for i, name in enumerate(NAMES)]
    file = tmp_path / "said.csv"
    file.write_text("neuron,concept\n" + "".join(f"{i},{text}\n" for i, text in enumerate(said)))
    adopt(file, planted.folder, tmp_path / "said")
    score(tmp_path / "said", judge=ModelSettings(model="seer", base_url=seer.url))

    result = run("compare", tmp_path / "said", done.run)
    found = compare(tmp_path / "said", done.run)

    assert (result.code, result.err) == (0, "")
    first = result.out.splitlines()[0]
    detection = found.scorers[0]
    assert first.startswith(f"paired: 12 features of the dump planted, {detection.images} judged images in common, ")
    # Of one feature the two runs drew no active image in common: one of them showed none to an explainer.
    assert (detection.scorer, detection.contrast.n_a, detection.as_scored) == ("detection", 12, 1)
    assert detection.contrast.mean_b.value == 1.0
    assert (detection.contrast.better.value, detection.contrast.equal, detection.contrast.worse) == (0.5, 0.5, 0.0)
    # Six of twelve moved, all one way.
    assert detection.contrast.tested.p == 2 / 2**6
    assert "of 12 features B is better on 6, equal on 6, worse on 0" in result.out
    # Relevance is the same in both, so that it does not count among the scorers tested.
    assert [(s.scorer, s.p_holm) for s in found.scorers] == [
        ("detection", 4 / 2**6),
        ("accuracy", 4 / 2**6),
        ("relevance", 1.0),
    ]
    assert "if this scorer alone is asked" in result.out
    assert "which images A's explanations are made from is not known" in result.out
    accuracy = found.scorers[1]
    # Accuracy reads the judgements that detection's lines hold: 24 or fewer active images a feature.
    assert (accuracy.scorer, accuracy.as_scored) == ("accuracy", 1)
    assert 0 < accuracy.images < detection.images


def test_features_are_paired_on_the_images_that_both_judged(tmp_path: Path):
    # Each run alone says 1 of 2 and 2 of 3; on the images 1 and 8 that both judged, A says 1 and B says 1.
    a = scored(0, 0.5, verdicts=judged((1, "top", 1.0), (2, "top", 0.0), (8, "silent", 0.0)))
    b = scored(0, 0.7, verdicts=judged((1, "top", 1.0), (3, "top", 0.0), (8, "silent", 0.0)))

    found = compare(made(tmp_path / "a", [a]), made(tmp_path / "b", [b])).scorers[0]

    assert (found.images, found.as_scored) == (2, 0)
    assert (found.contrast.mean_a.value, found.contrast.mean_b.value) == (1.0, 1.0)


def test_without_common_images_in_each_stratum_values_as_scored_are_compared_and_counted(tmp_path: Path):
    a = [scored(0, 0.5, verdicts=judged((1, "top", 1.0), (8, "silent", 0.0))), scored(1, 0.25)]
    b = [scored(0, 0.75, verdicts=judged((1, "top", 1.0), (9, "silent", 0.0))), scored(1, 0.75)]

    found = compare(made(tmp_path / "a", a), made(tmp_path / "b", b)).scorers[0]

    assert (found.images, found.as_scored) == (0, 2)
    assert (found.contrast.mean_a.value, found.contrast.mean_b.value) == (0.375, 0.75)


def test_accuracy_reads_the_judgements_that_detection_kept(tmp_path: Path):
    kept = judged((1, "top", 1.0), (2, "top", 0.0), (8, "silent", 1.0))
    other = judged((1, "top", 1.0), (3, "top", 1.0), (8, "silent", 0.0))
    a = [scored(0, 0.4, verdicts=kept), scored(0, 0.5, scorer="accuracy")]
    b = [scored(0, 0.9, verdicts=other), scored(0, 1.0, scorer="accuracy")]

    found = compare(made(tmp_path / "a", a), made(tmp_path / "b", b), scorers=["accuracy"]).scorers

    # Image 1 alone is active in both.
    assert [(s.scorer, s.images, s.contrast.mean_a.value) for s in found] == [("accuracy", 1, 1.0)]


def test_only_features_scored_in_both_count_and_the_others_are_told(tmp_path: Path):
    a = [scored(0, 0.5), scored(1, 0.5), unscored(2), unscored(3), scored(4, 0.0), scored(0, 0.25)]
    b = [scored(0, 0.75), unscored(1), scored(2, 1.0), unscored(3), scored(5, 1.0), scored(6, 1.0)]

    found = compare(made(tmp_path / "a", a), made(tmp_path / "b", b))
    result = run("compare", tmp_path / "a", tmp_path / "b")

    one = found.scorers[0]
    # Of feature 0, which A scored twice, the last line holds.
    assert (one.contrast.n_a, one.contrast.mean_a.value, one.contrast.mean_b.value) == (1, 0.25, 0.75)
    assert (one.unscored_a, one.unscored_b, one.only_a, one.only_b) == (2, 2, 1, 2)
    assert "Left out: 2 unscored in A, 2 unscored in B, 1 only in A, 2 only in B." in result.out
    assert "note: with so few features p cannot fall below 1, whatever they say" in result.out


def test_runs_of_two_dumps_are_two_samples(tmp_path: Path):
    a = made(tmp_path / "a", [scored(i, 0.25) for i in range(4)] + [unscored(9)])
    b = made(tmp_path / "b", [scored(i, 0.75) for i in range(5)], dump="e")

    found, result = compare(a, b), run("compare", a, b)

    one = found.scorers[0]
    assert (found.paired, one.contrast.n_a, one.contrast.n_b, one.unscored_a, one.images) == (False, 4, 5, 1, 0)
    # One of the 9 choose 4 = 126 ways is the true one; none is as far on the other side.
    assert one.contrast.tested.p == 1 / 126
    assert one.contrast.effect is not None
    assert one.contrast.effect.value == 1.0
    assert result.out.startswith("unpaired: two dumps, dump d (4 features) and dump e (5 features)\n")
    assert "a feature of B scores above one of A in 100% of pairs, equal in 0%" in result.out


def test_several_scorers_are_adjusted_by_holm_and_said_to_be(tmp_path: Path):
    def lines(step: float) -> list[Line]:
        better = [scored(i, 0.25 + step, scorer="choice") for i in range(8)]
        same = [scored(i, 0.25 + step * (i % 2 - 0.5), scorer="naming") for i in range(8)]
        return [*better, *same]

    found = compare(made(tmp_path / "a", lines(0.0)), made(tmp_path / "b", lines(0.25)))

    # All eight moved one way, 2 / 2^8, times two; four moved each way.
    assert [(s.scorer, s.contrast.tested.p, s.p_holm) for s in found.scorers] == [
        ("choice", 2 / 256, 4 / 256),
        ("naming", 1.0, 1.0),
    ]
    assert found.notes[-1].startswith("p (Holm) allows for the 2 scorers tested")


def test_what_differs_is_listed_and_another_judge_is_warned_of(tmp_path: Path):
    a = made(tmp_path / "a", [scored(0, 0.5)])
    b = made(tmp_path / "b", [scored(0, 0.5)], judge="k", n_top=4)

    found = compare(a, b)

    assert found.differ == ("explain.settings.n_top: 8 | 4", "score.judge.model: j | k")
    assert found.notes[0] == "A was judged by j and B by k: part of a difference may be the judge's"


def test_json_holds_the_whole_record(tmp_path: Path):
    a = made(tmp_path / "a", [scored(i, 0.25 + i / 100) for i in range(12)])
    b = made(tmp_path / "b", [scored(i, 0.5 + i / 50) for i in range(12)])

    result = run("compare", a, b, "--json")

    assert result.code == 0
    assert json.loads(result.out) == compare(a, b).model_dump(mode="json")


def test_a_run_compares_equal_with_a_copy_of_itself(done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "copy")

    result = run("compare", done.run, tmp_path / "copy")

    assert result.code == 0
    assert "the two runs have the same settings" in result.out
    assert "detection: the same in A and B throughout.\n" in result.out
    assert "p (Holm)" not in result.out.partition("throughout.")[2]


def two(here: Path) -> None:
    made(here / "a", [scored(0, 0.5)])
    made(here / "b", [scored(0, 0.5), scored(0, 0.5, scorer="naming")])


def unscored_runs(here: Path) -> None:
    made(here / "a", [unscored(0)])
    made(here / "b", [scored(0, 0.5)])


def other_scorers(here: Path) -> None:
    made(here / "a", [scored(0, 0.5)])
    made(here / "b", [scored(0, 0.5, scorer="naming")])


def never_scored(here: Path) -> None:
    made(here / "a", [])
    made(here / "b", [scored(0, 0.5)])


def broken(here: Path) -> None:
    two(here)
    file = here / "b" / "scores.jsonl"
    file.write_text(file.read_text().replace('"n":10', '"n":"x"'))


@pytest.mark.parametrize(
    ("prepare", "args", "line"),
    [
        (two, ("a", "c"), "c: no run.json here; name a folder that `autointerp explain --run` made"),
        (two, ("a", "a"), "a: the same run twice; name two runs, or two judges of it with --judge"),
        (two, ("a", "b", "--scorers", "naming"), "--scorers naming: not in both runs; they have detection"),
        (two, ("a", "b", "--scorers", ","), "--scorers: no scorer is named; both runs have detection"),
        (never_scored, ("a", "b"), "a: nothing is scored yet; `autointerp score a` does that"),
        (other_scorers, ("a", "b"), "a has scores by detection, b by naming; score both with one scorer"),
        (
            unscored_runs,
            ("a", "b"),
            "a and b: detection: left out, no feature is scored in both runs; score the same features in both",
        ),
        (
            broken,
            ("a", "b"),
            "b/scores.jsonl: feature 0, detection: scored.n: Input should be a valid integer, unable to parse string "
            "as an integer; mend or delete the line",
        ),
    ],
)
def test_bad_input_of_compare_is_one_line(prepare: Callable[[Path], None], args: Sequence[str], line: str, here: Path):
    prepare(here)

    result = run("compare", *args)

    says(result, line)
