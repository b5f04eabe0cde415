"""What was asked and answered is kept in the run, word for word, and shown in the report, unless that is turned off."""

import json
import shutil
from pathlib import Path

import pytest
from standin.commands import Command, Done, run
from standin.mind import Question, as_text
from standin.offline import answer_files
from standin.planted import Population
from standin.server import StandIn

from autointerp.runs.exchanges import FILE, Exchanges
from autointerp.runs.folder import open_run
from autointerp.schema import Scored


def test_every_question_of_a_run_is_kept_as_it_was_sent_with_its_reply(done: Done):
    kept = [e for feature in range(12) for e in Exchanges(done.run).of(feature)]

    texts = ["\n".join(p.text for turn in e.turns if turn.role == "user" for p in turn.parts if p.text) for e in kept]
    assert {(e.task, text) for e, text in zip(kept, texts, strict=True)} == {(q.task, q.text) for q in done.questions}
    assert all(len(e.replies) == 1 and json.loads(e.replies[0]) and e.failure is None for e in kept)
    for explanation in open_run(done.run).explanations():
        first = Exchanges(done.run).of(explanation.feature)[0]
        tiles = [tile for turn in first.turns for part in turn.parts for tile in part.tiles]
        assert first.task == "explain"
        assert json.loads(first.replies[0])["explanation"] == explanation.text
        assert list(dict.fromkeys(t.image for t in tiles)) == [*explanation.images, *explanation.contrast]


def test_pictures_are_kept_as_places_of_images_which_the_verdicts_have_too(done: Done):
    score = next(s for s in open_run(done.run).scores() if isinstance(s, Scored) and s.scorer == "detection")

    own = [e for e in Exchanges(done.run).of(score.feature) if e.task == "judge"]
    sheets = [p for e in own for turn in e.turns for p in turn.parts if p.tiles]

    assert {t.image for sheet in sheets for t in sheet.tiles} == {v.image for v in score.verdicts}
    assert all([t.number for t in s.tiles] == list(range(1, len(s.tiles) + 1)) for s in sheets)


def test_a_feature_takes_a_few_thousand_bytes(done: Done):
    # 12 features of one explanation and, with the controls, some 24 judgements each.
    assert (done.run / FILE).stat().st_size < 12 * 6_000


def test_without_exchanges_nothing_is_kept_and_the_rest_is_the_same(
    explain: Command, score: Command, done: Done, tmp_path: Path
):
    explain("--no-exchanges")
    score("--no-exchanges")
    report = run("report", tmp_path / "run")

    assert (report.code, (tmp_path / "run" / FILE).exists()) == (0, False)
    assert "Questions as they were sent" not in (tmp_path / "run" / "report.html").read_text()
    said = [e.text for e in open_run(tmp_path / "run").explanations()]
    assert sorted(said) == sorted(e.text for e in open_run(done.run).explanations())


def test_an_unusable_reply_is_kept_before_the_one_that_was_asked_for_again(
    explain: Command, seer: StandIn, tmp_path: Path
):
    seen: list[str] = []

    def twice(question: Question, value: dict[str, object]) -> str:
        seen.append(question.text)
        return "<script>alert(1)</script> I think it is red." if len(seen) == 1 else as_text(value)

    seer.text_of = twice
    explain("--features", "3")

    (kept,) = Exchanges(tmp_path / "run").of(3)
    assert kept.replies[0] == "<script>alert(1)</script> I think it is red."
    assert len(kept.replies) == 2
    assert kept.failure is None
    run("report", tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; I think it is red." in page
    assert "<script>alert(1)" not in page


def test_a_failure_keeps_what_came(explain: Command, seer: StandIn, tmp_path: Path):
    seer.text_of = lambda question, value: "I'm sorry, but I can't help with that."

    explain("--features", "3")

    (kept,) = Exchanges(tmp_path / "run").of(3)
    assert (kept.replies, kept.failure) == (("I'm sorry, but I can't help with that.",), "refused")


@pytest.mark.parametrize("options", [(), ("--shard", "{}/2")])
def test_a_scorer_that_is_added_adds_what_it_asks_also_in_shards(
    options: tuple[str, ...], explain: Command, score: Command, tmp_path: Path
):
    def each(command: Command, *more: str) -> None:
        for i in range(2 if options else 1):
            command(*more, *(o.format(i) for o in options))
        if options:
            run("merge", tmp_path / "run")

    each(explain, "--features", "0-3")
    each(score, "--controls", "0", "--n-choice", "2")
    each(score, "--controls", "0", "--n-choice", "2", "--scorers", "choice")

    tasks = [e.task for e in Exchanges(tmp_path / "run").of(2)]
    assert tasks == ["explain", "judge", "judge", "judge", "judge", *["choice"] * 4]


def test_a_run_that_kept_nothing_opens_and_shows_none(done: Done, tmp_path: Path):
    shutil.copytree(done.run, tmp_path / "old")
    (tmp_path / "old" / FILE).unlink()

    assert run("report", tmp_path / "old").code == 0
    assert "Questions as they were sent" not in (tmp_path / "old" / "report.html").read_text()
    assert run("report", done.run, "--out", tmp_path / "new.html").code == 0
    assert "Questions as they were sent, and replies" in (tmp_path / "new.html").read_text()


@pytest.mark.parametrize("options", [(), ("--no-exchanges",)])
def test_a_batch_job_keeps_each_exchange_once_or_none(options: tuple[str, ...], planted: Population, here: Path):
    nowhere = ("--model", "seer", "--base-url", "http://127.0.0.1:9/v1")
    run("explain", planted.folder, "--run", "run", *nowhere, "--features", "0-1", "--batch", *options)
    run("batch", "submit", "run", "--files-only")
    files = sorted((here / "run" / "batch").glob("requests-*.jsonl"))

    run("batch", "collect", "run", answer_files(here / "out.jsonl", *files))
    run("batch", "submit", "run", "--files-only")

    kept = [[e.task for e in Exchanges(here / "run").of(feature)] for feature in (0, 1)]
    assert kept == ([[], []] if options else [["explain"], ["explain"]])
    assert (here / "run" / FILE).exists() is not bool(options)
    assert len(list(open_run(here / "run").explanations())) == 2
