import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import explanation

from autointerp.errors import RunError
from autointerp.runs.exchanges import packed
from autointerp.runs.folder import RunWriter, open_run
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo, ScoreStage
from autointerp.schema import Control, FailureRecord, Scored, Unscored
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings

WHEN = "2026-01-31T12:00:00Z"


def info(
    *,
    dump: str = "d" * 64,
    model: ModelSettings | None = None,
    settings: ExplainSettings | None = None,
    prompt: str = "aaa",
    score: ScoreSettings | None = None,
) -> RunInfo:
    asked = model or ModelSettings(model="m")
    return RunInfo(
        version="1",
        created=WHEN,
        dump=DumpReference(name="dümp", path="/somewhere", digest=dump, n_latents=8),
        explain=ExplainStage(model=asked, settings=settings or ExplainSettings(), prompts={"explain": prompt}),
        score=ScoreStage(judge=asked, settings=score, prompts={"judge": "bbb"}) if score else None,
    )


def scored(feature: int, scorer: str = "detection") -> Scored:
    return Scored(
        feature=feature,
        scorer=scorer,
        value=0.5,
        low=0.25,
        high=0.75,
        n=60,
        details={"recall": 0.5, "form": "lmm"},
        controls={"always_yes": Control(value=0.25)},
        judge="m",
        prompt="bbb",
        created=WHEN,
    )


def unscored(feature: int, scorer: str = "detection") -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason="too few", judge="m", created=WHEN)


def settled(feature: int) -> FailureRecord:
    return failure(feature, "explain", "unexplainable").model_copy(update={"message": "never fired"})


def test_what_a_killed_writer_left_half_written_goes(tmp_path: Path):
    with RunWriter(tmp_path / "run", info()):
        pass
    for name in ("run.json.part", "failures.jsonl.part", "calibration.json.part"):
        (tmp_path / "run" / name).write_text("{")

    with RunWriter(tmp_path / "run", info()):
        pass

    assert not list((tmp_path / "run").glob("*.part"))


def failure(feature: int, stage: str, kind: str = "timeout") -> FailureRecord:
    return FailureRecord(feature=feature, stage=stage, kind=kind, message="no", attempts=6, created=WHEN)


def started(path: Path, wanted: RunInfo, *, explained: bool = True) -> None:
    with RunWriter(path, wanted) as writer:
        if explained:
            writer.explanation(explanation(1))


def test_a_run_says_what_it_is_made_of_and_holds_what_was_written(tmp_path: Path):
    with RunWriter(tmp_path / "run", info()) as writer:
        writer.explanation(explanation(1))
        writer.score(scored(1))
        writer.score(unscored(2))
        writer.failure(failure(3, "explain"))

    run = open_run(tmp_path / "run")

    assert run.info == info()
    assert list(run.explanations()) == [explanation(1)]
    assert list(run.scores()) == [scored(1), unscored(2)]
    assert list(run.failures()) == [failure(3, "explain")]


def test_a_run_resumes_with_the_same_settings(tmp_path: Path):
    started(tmp_path, info())

    with RunWriter(tmp_path, info()) as writer:
        writer.explanation(explanation(2))

    assert open_run(tmp_path).index().features.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (info(dump="e" * 64), r"this run is of the dump dümp \(dddddddddddd\), not dümp"),
        (info(model=ModelSettings(model="other")), "this run's explain setting --model is 'm', not 'other'"),
        (info(settings=ExplainSettings(n_top=4)), r"setting --top is 8, not 4"),
        (info(settings=ExplainSettings(domain="d")), r"setting --domain is left out, not 'd'"),
        (info(prompt="ccc"), r"setting prompts\.explain is 'aaa', not 'ccc'"),
    ],
)
def test_a_run_with_other_settings_is_refused_by_the_name_of_the_setting(tmp_path: Path, wanted: RunInfo, problem: str):
    started(tmp_path, info())
    before = (tmp_path / "run.json").read_bytes()

    with pytest.raises(RunError, match=problem) as caught:
        RunWriter(tmp_path, wanted)

    assert "\n" not in str(caught.value)
    assert (tmp_path / "run.json").read_bytes() == before
    started(tmp_path, info())  # the lock was let go


def test_where_the_server_stands_may_change(tmp_path: Path):
    started(tmp_path, info())

    with RunWriter(tmp_path, info(model=ModelSettings(model="m", base_url="http://elsewhere/v1"))) as writer:
        assert writer.run.index().features.tolist() == [1]


def test_a_first_attempt_that_came_to_nothing_binds_nobody(tmp_path: Path):
    started(tmp_path, info(model=ModelSettings(model="misspelt")), explained=False)

    started(tmp_path, info())

    assert open_run(tmp_path).info.explain.model.model == "m"


def attempted(path: Path, wanted: RunInfo) -> list[tuple[int, str]]:
    """What is left as `wanted` begins of a first attempt that settled feature 1, failed at 2 and explained none."""
    with RunWriter(path, info(model=ModelSettings(model="misspelt"))) as writer:
        writer.failure(settled(1))
        writer.failure(failure(2, "explain"))
    with RunWriter(path, wanted) as writer:
        return [(f.feature, f.kind) for f in writer.run.failures()]


def test_what_a_first_attempt_settled_holds_for_another_model(tmp_path: Path):
    assert attempted(tmp_path, info()) == [(1, "unexplainable"), (2, "timeout")]


@pytest.mark.parametrize("wanted", [info(dump="e" * 64), info(settings=ExplainSettings(n_top=4))], ids=["dump", "top"])
def test_what_a_first_attempt_settled_is_open_again_under_another_dump_or_other_settings(
    tmp_path: Path, wanted: RunInfo
):
    assert attempted(tmp_path, wanted) == [(2, "timeout")]


def test_a_new_folder_in_which_features_were_only_settled_goes_when_the_command_ends_in_an_error(tmp_path: Path):
    def end_in_an_error(path: Path, record: FailureRecord) -> None:
        with RunWriter(path, info()) as writer:
            writer.failure(record)
            raise RunError("the endpoint has no such model")

    for name, record in (("settled", settled(1)), ("failed", failure(2, "explain"))):
        with pytest.raises(RunError):
            end_in_an_error(tmp_path / name, record)

    assert [p.name for p in tmp_path.iterdir()] == ["failed"]


def test_scoring_is_added_to_a_run_and_then_binds_it(tmp_path: Path):
    started(tmp_path, info())
    with RunWriter(tmp_path, info(score=ScoreSettings())) as writer:
        writer.score(scored(1))

    started(tmp_path, info())

    assert open_run(tmp_path).info.score is not None
    with pytest.raises(RunError, match=r"score setting --active is 24, not 12"):
        RunWriter(tmp_path, info(score=ScoreSettings(n_active=12)))


def test_a_scorer_can_be_added_later(tmp_path: Path):
    started(tmp_path, info())
    with RunWriter(tmp_path, info(score=ScoreSettings(scorers=("detection",)))) as writer:
        writer.score(scored(1))

    with RunWriter(tmp_path, info(score=ScoreSettings(scorers=("detection", "accuracy")))) as writer:
        assert writer.run.scored("accuracy").tolist() == []


def test_one_folder_has_one_writer(tmp_path: Path):
    holding = (
        "import sys; from pathlib import Path; from filelock import FileLock\n"
        "with FileLock(Path(sys.argv[1]) / '.lock'):\n  print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holding, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        with pytest.raises(RunError, match="another autointerp is writing this run"):
            RunWriter(tmp_path, info())

        other.communicate("")

    started(tmp_path, info())


def test_a_folder_that_was_removed_while_it_was_written_is_no_success(tmp_path: Path):
    def work() -> None:
        with RunWriter(tmp_path / "run", info()) as writer:
            writer.explanation(explanation(1))
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(RunError, match="was removed or moved while it was being written"):
        work()


def test_a_run_that_was_removed_leaves_the_one_that_took_its_place_alone(tmp_path: Path):
    folder = tmp_path / "run"
    first = RunWriter(folder, info())
    shutil.rmtree(folder)

    with RunWriter(folder, info()), pytest.raises(RunError), first:
        first.explanation(explanation(1))

    assert (folder / "run.json").exists()


def test_a_folder_is_locked_within_one_process_too(tmp_path: Path):
    with RunWriter(tmp_path, info()), pytest.raises(RunError, match="another autointerp is writing this run"):
        RunWriter(tmp_path, info())


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        writer.explanation(explanation(1))

        assert [e.feature for e in open_run(tmp_path).explanations()] == [1]


def test_what_is_scored_is_known_by_scorer_reasons_for_none_included(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        for record in (scored(5), unscored(2), scored(5, "accuracy"), scored(5)):
            writer.score(record)

        assert writer.run.scored("detection").tolist() == [2, 5]
        assert writer.run.scored("accuracy").tolist() == [5]
        assert writer.run.scored("relevance").tolist() == []


def test_what_failed_is_pending_until_it_succeeds(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        writer.failure(failure(1, "explain", "timeout"))
        writer.failure(failure(2, "explain", "timeout"))
        writer.failure(failure(2, "explain", "refused"))
        writer.failure(failure(3, "explain:domain"))
        writer.failure(failure(4, "score:detection"))
        writer.failure(failure(5, "score:detection"))
        writer.explanation(explanation(1))
        writer.score(unscored(5))

        pending = writer.run.pending()

    assert [(f.feature, f.stage, f.kind) for f in pending] == [
        (2, "explain", "refused"),
        (3, "explain:domain", "timeout"),
        (4, "score:detection", "timeout"),
    ]


def test_a_settled_feature_is_not_pending_whatever_failed_before(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        writer.failure(failure(1, "explain", "image"))
        writer.failure(settled(1))
        writer.failure(failure(2, "explain"))

        assert [f.feature for f in writer.run.pending()] == [2]
        assert writer.run.unexplainable() == {1: "never fired"}


def test_a_feature_that_was_explained_after_all_is_settled_no_more(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        writer.failure(settled(1))
        writer.explanation(explanation(1))

        assert writer.run.unexplainable() == {}


def test_a_feature_that_failed_in_one_pass_and_then_the_other_is_pending_once(tmp_path: Path):
    with RunWriter(tmp_path, info()) as writer:
        writer.failure(failure(1, "explain"))
        writer.failure(failure(1, "explain:domain", "refused"))

        pending = writer.run.pending()

    assert [(f.feature, f.stage) for f in pending] == [(1, "explain:domain")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no run.json here; name a folder that `autointerp explain --run` made"),
        ("nonsense", r"run\.json: cannot be read"),
        ("[]", "format is None, this version reads 'autointerp-run/1'"),
        ('{"format": "autointerp-run/2"}', "format is 'autointerp-run/2'"),
        ('{"format": "autointerp-run/1"}', "version: Field required"),
    ],
)
def test_what_is_no_run_is_said_in_one_line(tmp_path: Path, content: str | None, problem: str):
    if content is not None:
        (tmp_path / "run.json").write_text(content)

    with pytest.raises(RunError, match=problem):
        open_run(tmp_path)


def test_explanations_without_their_run_json_are_not_written_over(tmp_path: Path):
    started(tmp_path, info())
    (tmp_path / "run.json").unlink()

    with pytest.raises(RunError, match=r"has explanations\.jsonl but no run\.json"):
        RunWriter(tmp_path, info())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(RunError, match="the run folder cannot be written"):
        RunWriter(tmp_path / "file" / "run", info())


def test_the_scores_of_a_run_that_knows_no_controls_by_framing_were_made_without():
    stage = ScoreStage(judge=ModelSettings(model="m"), settings=ScoreSettings(), prompts={})
    told = stage.model_dump(mode="json")

    assert ScoreStage.model_validate(told).settings.framing
    del told["settings"]["framing"]
    assert not ScoreStage.model_validate(told).settings.framing


def test_a_run_from_before_the_margin_counts_all_images_below_the_threshold_as_silent(tmp_path: Path):
    with RunWriter(tmp_path / "run", info(score=ScoreSettings())):
        pass
    file = tmp_path / "run" / "run.json"
    written = json.loads(file.read_text())
    now = open_run(tmp_path / "run").info
    for stage in ("explain", "score"):
        del written[stage]["settings"]["silent_below"]
    file.write_text(json.dumps(written))

    before = open_run(tmp_path / "run").info

    assert now.score is not None
    assert before.score is not None
    assert (now.explain.settings.silent_below, now.score.settings.silent_below) == (0.5, 1.0)
    assert (before.explain.settings.silent_below, before.score.settings.silent_below) == (1.0, 1.0)


def test_a_file_of_exchanges_that_cannot_be_opened_is_one_line(tmp_path: Path):
    run = tmp_path / "run"
    with RunWriter(run, info()) as writer:
        (run / "exchanges.jsonl").mkdir()
        line = packed(1, "explain", "2026-01-31T12:00:00Z", [])

        with pytest.raises(RunError, match=r"exchanges\.jsonl: is a link or no plain file"):
            writer.exchanges(line)
