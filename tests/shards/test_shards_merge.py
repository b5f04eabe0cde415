from collections.abc import Sequence
from pathlib import Path

import filelock
import pytest
from builders import explanation

from autointerp.errors import RunError
from autointerp.runs.folder import RunWriter, open_run
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo
from autointerp.runs.parts import PartInfo, Place, part_path, write_part
from autointerp.schema import FailureRecord, Unscored
from autointerp.settings import ExplainSettings, ModelSettings
from autointerp.shards.merge import MergeResult, agreed, held, merge, merging

WHEN = "2026-01-31T12:00:00Z"
SHARDS = ((0, 1, 2), (3, 4), (5, 6, 7))


def info(*, n_top: int = 8) -> RunInfo:
    stage = ExplainStage(model=ModelSettings(model="m"), settings=ExplainSettings(n_top=n_top), prompts={})
    reference = DumpReference(name="d", path="/somewhere", digest="d" * 64, n_latents=8)
    return RunInfo(version="1", created=WHEN, dump=reference, explain=stage)


def refused(feature: int) -> FailureRecord:
    return FailureRecord(feature=feature, stage="explain", kind="refused", message="no", attempts=1, created=WHEN)


def unscored(feature: int, scorer: str) -> Unscored:
    return Unscored(feature=feature, scorer=scorer, reason="too few", judge="m", created=WHEN)


def write_shard(
    run: Path, index: int, features: Sequence[int], *, wanted: RunInfo | None = None, finished: bool = True, of: int = 3
) -> Path:
    """Its features explained, the last one first; the first one refused twice in one second, and scored twice."""
    path = part_path(run, Place("explain", index, of))
    with RunWriter(path, wanted or info()) as writer:
        write_part(path, PartInfo(selection="all", features=len(features), finished=finished))
        for feature in reversed(features):
            writer.explanation(explanation(feature))
        for scorer in ("detection", "choice"):
            writer.score(unscored(features[0], scorer))
        for _ in range(2):
            writer.failure(refused(features[0]))
    return path


def all_shards(run: Path) -> Path:
    for index, features in enumerate(SHARDS):
        write_shard(run, index, features)
    return run


def content(run: Path) -> tuple[list[int], list[tuple[int, str]], list[int]]:
    there = open_run(run)
    explained = [e.feature for e in there.explanations()]
    return explained, [(s.feature, s.scorer) for s in there.scores()], [f.feature for f in there.failures()]


WHOLE = (
    list(range(8)),
    [(0, "detection"), (0, "choice"), (3, "detection"), (3, "choice"), (5, "detection"), (5, "choice")],
    [0, 0, 3, 3, 5, 5],
)


def test_parts_are_merged_in_the_order_of_features_and_then_gone(tmp_path: Path):
    run = all_shards(tmp_path / "run")

    result = merge(run)

    assert content(run) == WHOLE
    assert (result.explanations, result.scores, result.failures, result.missing) == (8, 6, 6, {})
    assert not (run / "parts").exists()


def test_merging_again_does_nothing(tmp_path: Path):
    run = all_shards(tmp_path / "run")
    merge(run)

    again = merge(run)

    assert content(run) == WHOLE
    assert (again.merged, again.explanations, again.failures) == ([], 0, 0)


@pytest.mark.parametrize("keep", [False, True])
def test_a_merge_killed_before_any_step_loses_and_doubles_nothing(tmp_path: Path, keep: bool):
    kills = 0
    while True:
        run = all_shards(tmp_path / f"run-{kills}")
        with held(run, 0) as parts, RunWriter(run, agreed(run, parts)) as writer:
            steps = merging(writer.run, parts, MergeResult(run), keep=keep)
            through = [step for _, step in zip(range(kills), steps, strict=False)]
            steps.close()

        merge(run, keep=keep)

        assert content(run) == WHOLE, f"killed before step {through[-1:]}"
        kept = run / "parts" / "merged"
        assert (sorted(p.name for p in kept.iterdir()) if keep else not (run / "parts").exists()) == (
            [Place("explain", i, 3).name for i in range(3)] if keep else True
        )
        if len(through) < kills:
            break
        kills += 1
    # One step before each of nine lots of lines at least, and before each of three parts is removed.
    assert kills >= 12


def test_a_torn_line_of_an_interrupted_merge_is_written_anew(tmp_path: Path):
    run = all_shards(tmp_path / "run")
    with RunWriter(run, info()) as writer:
        writer.explanation(explanation(0))
    with (run / "explanations.jsonl").open("ab") as file:
        file.write(b'{"feature": 1, "te')

    merge(run)

    assert content(run) == WHOLE


def test_a_part_that_grew_after_a_kept_merge_brings_only_what_is_new(tmp_path: Path):
    run = tmp_path / "run"
    path = write_shard(run, 0, (0, 1), of=1)
    merge(run, keep=True)
    (run / "parts" / "merged" / path.name).rename(path)
    with RunWriter(path, info()) as writer:
        writer.explanation(explanation(2))
        writer.failure(refused(0))

    result = merge(run)

    assert (result.explanations, result.scores, result.failures) == (1, 0, 1)
    assert content(run)[0] == [0, 1, 2]
    assert content(run)[2] == [0, 0, 0]


def test_of_a_feature_that_two_parts_explain_the_run_keeps_one(tmp_path: Path):
    run = tmp_path / "run"
    write_shard(run, 0, (0, 1), of=2)
    write_shard(run, 1, (1, 2), of=2)

    merge(run)

    assert content(run)[0] == [0, 1, 2]


def test_a_feature_that_two_parts_found_settled_at_different_times_has_one_line_and_is_counted_apart(tmp_path: Path):
    for index, when in enumerate((WHEN, "2026-02-01T12:00:00Z")):
        path = write_shard(tmp_path, index, SHARDS[index])
        settled = {"kind": "unexplainable", "message": "never fired", "created": when}
        with RunWriter(path, info()) as writer:
            writer.failure(refused(7).model_copy(update=settled))

    result = merge(tmp_path)

    # Each part has one feature that was refused twice.
    assert (result.failures, result.unexplainable) == (4, {"never fired": 1})
    assert [(f.feature, f.created) for f in open_run(tmp_path).failures() if f.kind == "unexplainable"] == [(7, WHEN)]


def test_shards_that_are_not_there_or_not_finished_are_named_until_they_are_merged(tmp_path: Path):
    run = tmp_path / "run"
    write_shard(run, 0, SHARDS[0])
    write_shard(run, 1, SHARDS[1], finished=False)

    first = merge(run)
    write_shard(run, 2, SHARDS[2])
    second = merge(run)
    write_shard(run, 1, SHARDS[1])
    third = merge(run)

    assert first.missing == {"explain": ["1/3", "2/3"]}
    assert second.missing == {"explain": ["1/3"]}
    assert third.missing == {}
    assert content(run)[0] == list(range(8))


def test_a_part_of_other_settings_is_refused_and_nothing_is_merged(tmp_path: Path):
    run = tmp_path / "run"
    write_shard(run, 0, SHARDS[0])
    other = write_shard(run, 1, SHARDS[1], wanted=info(n_top=4))

    with pytest.raises(RunError, match=r"00001-of-00003: made with other settings: .*--top is 8, not 4"):
        merge(run)

    assert other.exists()
    assert not (run / "run.json").exists()


def test_a_part_of_other_features_is_refused(tmp_path: Path):
    run = tmp_path / "run"
    write_shard(run, 0, SHARDS[0])
    other = write_shard(run, 1, SHARDS[1])
    write_part(other, PartInfo(selection="others", features=2, finished=True))

    with pytest.raises(RunError, match="a shard of another choice of features"):
        merge(run)


def test_a_part_that_is_being_written_is_waited_for_by_the_user(tmp_path: Path):
    run = all_shards(tmp_path / "run")

    with (
        filelock.FileLock(part_path(run, Place("explain", 1, 3)) / ".lock"),
        pytest.raises(RunError, match="00001-of-00003: another autointerp is writing this part"),
    ):
        merge(run)

    assert not (run / "run.json").exists()


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match=r"no run\.json here"):
        merge(tmp_path / "nothing")
