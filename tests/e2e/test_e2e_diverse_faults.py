"""Explaining by several candidates where the endpoint, the judge, the machine or the command line lets one down."""

from dataclasses import replace
from pathlib import Path

import pytest
from standin import child
from standin.batches import BatchServer
from standin.commands import Command, Result, run, says
from standin.favourite import favourite, with_refusals
from standin.killing import CONCURRENCY, DELAY, MOST_LOST, lost_by_kills, stored
from standin.mind import Question, answer, as_text
from standin.offline import Line, answered, question_of
from standin.planted import MIXED, Population, kinds, plant
from standin.records import explanations, failures, scores, timeless
from standin.server import StandIn

from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter

JUDGED = ("--candidates", "8", "--diverse", "--embedder", "none")


def _fondly(line: Line) -> str:
    question = question_of(line)
    return favourite(question, answer(question))


def _unpaid(folder: Path) -> list[str]:
    """The explanations without when they were made and what they cost."""
    made = sorted(explanations(folder).values(), key=lambda e: e.feature)
    return [e.model_dump_json(exclude={"created", "usage"}) for e in made]


@pytest.fixture
def sample(explain: Command, mixed: Population, fond: StandIn) -> Command:
    """`explain` with eight candidates, whose meanings the judge tells apart; further options at the end hold."""

    def command(*options: str | Path, dump: Path | None = None, to: str = "run") -> Result:
        return explain(*JUDGED, *options, dump=dump or mixed.folder, to=to)

    return command


@pytest.fixture
def whole(sample: Command, fond: StandIn, tmp_path: Path) -> Path:
    """A plain run over all features, with a cache of its own; then the endpoint forgets it."""
    said = sample("--cache", tmp_path / "other", to="whole")
    assert said.code == 0, said.err
    fond.forget()
    return tmp_path / "whole"


def test_where_the_judge_says_yes_to_everything_nothing_beats_chance(
    sample: Command, fond: StandIn, tmp_path: Path
) -> None:
    def credulous(question: Question, value: dict[str, object]) -> str:
        if question.task == "judge":
            return as_text(dict.fromkeys(value, "yes"))
        return favourite(question, value)

    fond.text_of = credulous

    said = sample()

    assert said.code == 0, said.err
    for explanation in explanations(tmp_path / "run").values():
        sampled = explanation.sampled
        assert sampled is not None
        assert not sampled.beats_chance
        assert (explanation.none, explanation.parts) == (False, ())
        judged = [sampled.candidates[c.best] for c in sampled.clusters]
        assert {(c.score, c.p) for c in judged} == {(0, 1)}
        assert [c.kept for c in sampled.clusters] == [False] * len(sampled.clusters)
        assert explanation.text in {c.text for c in sampled.candidates}


def test_an_explainer_that_sees_nothing_in_common_leaves_a_none(sample: Command, fond: StandIn, tmp_path: Path) -> None:
    def blind(question: Question, value: dict[str, object]) -> str:
        empty: dict[str, object] = {"verdict": "none", "explanation": "", "concepts": [], "misfits": []}
        return as_text(value | empty if question.task == "explain" else value)

    fond.text_of = blind

    said = sample()

    assert said.code == 0, said.err
    for explanation in explanations(tmp_path / "run").values():
        assert (explanation.none, explanation.text, explanation.parts) == (True, "", ())
        assert explanation.sampled is not None
        assert (explanation.sampled.asked, explanation.sampled.none) == (8, 8)
        assert not explanation.sampled.candidates
    assert len(fond.calls) == 8 * 5  # none was judged


def test_refused_candidates_are_gaps_and_the_rest_explains(sample: Command, fond: StandIn, tmp_path: Path) -> None:
    fond.text_of = with_refusals(2, 5)

    said = sample()

    assert said.code == 0, said.err
    for explanation in explanations(tmp_path / "run").values():
        assert explanation.sampled is not None
        assert (explanation.sampled.asked, explanation.sampled.failed) == (8, 2)
        assert len(explanation.sampled.candidates) == 6
    gaps = failures(tmp_path / "run")
    assert sorted((g.feature, g.stage) for g in gaps) == sorted((f, "explain") for f in (*range(5), *range(5)))


def test_where_all_are_refused_the_feature_waits(sample: Command, fond: StandIn, tmp_path: Path) -> None:
    fond.text_of = with_refusals(*range(8))

    said = sample("--features", "0-1")
    fond.text_of = favourite
    again = sample("--features", "0-1", "--cache", tmp_path / "other")

    assert said.code == 1
    assert "explained 0 of 2 features" in said.out
    assert [f.stage for f in failures(tmp_path / "run")[:2]] == ["explain"] * 2
    assert again.code == 0
    assert explanations(tmp_path / "run").keys() == {0, 1}


def test_errors_that_pass_are_tried_again(sample: Command, fond: StandIn, whole: Path, tmp_path: Path) -> None:
    fond.fault_rate, fond.fault_kinds = 0.2, ("500", "503", "429 after")

    said = sample("--attempts", "12")

    assert said.code == 0, said.err
    assert sum(c.fault is not None for c in fond.calls) > 10
    assert _unpaid(tmp_path / "run") == _unpaid(whole)
    assert failures(tmp_path / "run") == []


def test_kills_cost_only_what_was_under_way(mixed: Population, fond: StandIn, whole: Path, tmp_path: Path) -> None:
    fond.delay = DELAY
    where = ("--run", tmp_path / "run", "--model", "seer", "--base-url", fond.url, "--concurrency", str(CONCURRENCY))
    command = ("explain", mixed.folder, *where, *JUDGED)

    lost = lost_by_kills(fond, tmp_path / "cache", 10, 0.05, lambda: child.start(*command, cache=tmp_path / "cache"))
    fond.delay = 0
    last = run(*command)

    assert last.code == 0, last.err
    assert timeless(tmp_path / "run")[0] == timeless(whole)[0]
    assert max(lost) <= MOST_LOST
    assert stored(tmp_path / "cache") == len(fond.answered) > 100
    assert fond.answered.total() - len(fond.answered) == sum(lost)
    assert failures(tmp_path / "run") == []


def test_shards_give_the_records_of_one_process(sample: Command, fond: StandIn, whole: Path, tmp_path: Path) -> None:
    parts = [sample("--shard", f"{i}/2") for i in range(2)]
    merged = run("merge", tmp_path / "run")

    assert [r.code for r in (*parts, merged)] == [0, 0, 0]
    assert timeless(tmp_path / "run")[0] == timeless(whole)[0]
    assert max(fond.answered.values()) == 1


def test_a_batch_job_ends_in_the_records_of_a_plain_run(
    mixed: Population, score: Command, whole: Path, here: Path
) -> None:
    """Explained and scored; the parts of a disjunction are asked about in the batch as well."""
    score("--controls", "0", "--cache", here / "other", of="whole")

    def spoil(number: int, asked: list[Line]) -> tuple[str, list[Line], list[Line]]:
        return "completed", [answered(line, _fondly(line)) for line in asked], []

    with BatchServer(spoil=spoil) as server:  # pyright: ignore[reportArgumentType]
        where = ("--run", "run", "--model", "seer", "--base-url", server.url)
        planned = (run("explain", mixed.folder, *where, *JUDGED, "--batch"), score("--controls", "0", "--batch"))
        driven = run("batch", "run", "run", "--poll", "0.01")
        questions = server.questions

    assert [r.code for r in (*planned, driven)] == [0, 0, 0], driven.err
    assert len(questions) == len(set(questions))
    assert _unpaid(here / "run") == _unpaid(whole)
    for scorer in ("detection", "accuracy"):
        batch, plain = (scores(folder, scorer) for folder in (here / "run", whole))
        assert {f: s.model_dump(exclude={"created", "usage"}) for f, s in batch.items()} == {
            f: s.model_dump(exclude={"created", "usage"}) for f, s in plain.items()
        }
    assert failures(here / "run") == []


def test_what_a_budget_stopped_goes_on_and_asks_nothing_twice(
    sample: Command, fond: StandIn, whole: Path, tmp_path: Path
) -> None:
    """The endpoint states no usage, so that each call costs what was estimated for it, whichever comes first."""
    fond.input_tokens = 0
    stopped = sample("--budget", "400k tokens")
    asked = len(fond.calls)

    again = sample()

    assert (stopped.code, again.code) == (3, 0)
    assert "estimated: " in stopped.err
    assert 0 < asked < len(fond.calls)
    assert max(fond.answered.values()) == 1
    assert _unpaid(tmp_path / "run") == _unpaid(whole)


def test_a_feature_without_images_to_choose_by_says_what_to_do(sample: Command, tmp_path: Path) -> None:
    plant(tmp_path / "scarce", features=MIXED[:1], n_top=2, n_band=0)

    said = sample(dump=tmp_path / "scarce")

    assert said.code == 0
    assert "1 feature cannot be explained: 1 has no held-out active images to choose candidates by\n" in said.out
    (failure,) = failures(tmp_path / "run")
    assert (failure.stage, failure.kind) == ("explain", "unexplainable")
    assert failure.message == (
        "no held-out active images to choose candidates by; harvest more, show fewer, or explain without --candidates"
    )


def test_a_batch_job_may_have_its_embedder_elsewhere(mixed: Population, fond: StandIn, whole: Path, here: Path) -> None:
    def spoil(number: int, asked: list[Line]) -> tuple[str, list[Line], list[Line]]:
        return "completed", [answered(line, _fondly(line)) for line in asked], []

    vectors = ("--candidates", "8", "--diverse", "--embedder", "vectors", "--embedder-base-url", fond.url)
    with BatchServer(spoil=spoil) as server:  # pyright: ignore[reportArgumentType]
        where = ("--run", "run", "--model", "seer", "--base-url", server.url)
        planned = run("explain", mixed.folder, *where, *vectors, "--batch")
        driven = run("batch", "run", "run", "--poll", "0.01")

    assert (planned.code, driven.code) == (0, 0), driven.err
    assert {f: e.parts or e.text for f, e in explanations(here / "run").items()} == {
        f: e.parts or e.text for f, e in explanations(whole).items()
    }
    assert len(fond.embedded) == len(set(fond.embedded))


def test_narrower_features_are_told_all_that_was_kept_of_broader_ones(
    sample: Command, fond: StandIn, mixed: Population, tmp_path: Path
) -> None:
    source = open_dump(mixed.folder)
    with DumpWriter(tmp_path / "family", source.info) as writer:
        for row in source.images(range(len(mixed.scenes))):
            facts = {"attribute": row.attribute, "group": row.group, "label": row.label}
            found = source.image_source(row.image)
            data = found if isinstance(found, bytes) else found.read_bytes()
            writer.add_image(row.image, data=data, size=(row.width, row.height), **facts)
        _, broad, _, _, narrow = source.features()
        writer.add_feature(broad.row, broad.exemplars)
        writer.add_feature(replace(narrow.row, feature=8, width=16, parents=(1,)), narrow.exemplars)

    said = sample("--hierarchy", dump=tmp_path / "family")

    assert said.code == 0, said.err
    found = explanations(tmp_path / "run")
    assert found[8].parents == (1,)
    told = [q.text for q in fond.questions("explain") if "Broader features" in q.text]
    assert len(told) == 8
    assert all(f"- {found[1].text}" in text for text in told)
    assert kinds(found[8].text) == mixed.features[4].pairs


def test_a_run_goes_on_only_with_as_many_candidates(sample: Command, explain: Command, mixed: Population) -> None:
    sample("--features", "0")

    other = sample("--features", "0", "--candidates", "4")
    plain = explain("--features", "0", dump=mixed.folder)

    assert (other.code, plain.code) == (2, 2)
    assert "--candidates is 8, not 4; use the same" in other.err
    assert "--candidates is 8, not left out" in plain.err
    assert other.err.count("\n") == plain.err.count("\n") == 1


NOWHERE = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--candidates", "1"), "--candidates"),
        (("--candidate-judge", "j"), "--candidate-judge: it means nothing alone; add --candidates or --diverse"),
        (("--diverse", "--embedder", "none", "--embedder-base-url", NOWHERE), "--embedder none"),
        (("--diverse", "--embedder", "e", "--embedder-base-url", "nowhere"), "--embedder-base-url"),
        (("--candidates", "8", "--subset", "0"), "--subset"),
        (("--diverse", "--candidate-judge", "local"), "--candidate-judge local"),
    ],
)
def test_options_that_cannot_be_are_told_in_one_line(
    explain: Command, mixed: Population, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    said = explain(*options, dump=mixed.folder)

    assert said.code == 2
    assert words in said.err
    assert not (tmp_path / "run").exists()


def test_an_embedder_that_is_down_is_named(explain: Command, mixed: Population, fond: StandIn, tmp_path: Path) -> None:
    where = ("--embedder", "vectors", "--embedder-base-url", NOWHERE)

    said = explain("--diverse", *where, "--attempts", "2", "--features", "0", dump=mixed.folder)

    says(
        said,
        f"{NOWHERE}: Cannot connect to host 127.0.0.1:9 [Connect call failed ('127.0.0.1', 9)]; is the server up and "
        "--embedder-base-url right?",
    )
    assert not (tmp_path / "run" / "explanations.jsonl").exists()


def test_an_embedder_that_the_server_does_not_know_is_named(
    explain: Command, mixed: Population, fond: StandIn, tmp_path: Path
) -> None:
    said = explain(
        "--diverse", "--embedder", "nobody", "--embedder-base-url", fond.url, "--features", "0", dump=mixed.folder
    )

    says(
        said,
        f"{fond.url} has no such model or path (The model `nobody` does not exist.); check --embedder and "
        "--embedder-base-url (it ends in /v1)",
    )
