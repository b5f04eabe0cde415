"""Which images a judge is shown, what is said of them, and what that makes of the rates."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from generators_world import MODE, judged_table, named, questions
from PIL import Image

from autointerp.commands.benchmark_run import Judged, benchmark_run
from autointerp.errors import SettingsError
from autointerp.generators.verdicts import Asked, drawn, looked
from autointerp.jobs.benchmark_run import Ran
from autointerp.statistics.clusters import Looked


def test_a_judge_who_is_right_gives_the_planted_rates(world: Path, generators: Path, ran: Ran, tmp_path: Path):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    answers = judged_table(out, tmp_path / "answers.csv", lambda _, on: "yes" if on else "no")

    found = benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=answers).result

    b = found.sets[1].modes[MODE]
    assert b.judged is not None
    assert b.judged.value == pytest.approx(0.30)
    assert b.precision is not None
    assert (b.precision.hits, b.precision.n) == (36, 36)
    assert found.ranked_by == "judged"
    assert found.judging is not None
    assert found.judging.n_judged == 6 + 60 + 36 + 60


def test_who_fills_in_the_table_sees_neither_the_generator_nor_what_fires(ran: Ran):
    rows = questions(ran.out)

    assert list(rows[0]) == ["sha256", "mode", "says", "picture", "answer"]
    assert [row["sha256"] for row in rows] == sorted(row["sha256"] for row in rows)
    assert {row["says"] for row in rows} == {"a red square that floats"}
    assert [row["picture"] for row in rows] == [f"to-judge/{row['sha256'][:32]}-448.jpg" for row in rows]
    for row in rows:
        with Image.open(ran.out / row["picture"]) as picture:
            assert picture.size == (16, 16)


def test_an_image_of_two_generators_is_asked_about_once_and_counts_for_both(
    world: Path, generators: Path, tmp_path: Path
):
    shutil.copytree(generators / "a", tmp_path / "again")
    images = [f"a={generators / 'a'}", f"again={tmp_path / 'again'}"]
    first = benchmark_run(world / "pack", tmp_path / "out", images=images)
    answers = judged_table(first.out, tmp_path / "v.csv", lambda _, on: "yes" if on else "no")

    found = benchmark_run(world / "pack", first.out, images=images, verdicts=answers).result

    assert len(questions(first.out)) == 6 + 60
    assert found.judging is not None
    assert found.judging.n_judged == 2 * (6 + 60)


def test_answers_in_a_table_of_an_earlier_version_count(world: Path, generators: Path, ran: Ran, tmp_path: Path):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    rows = [f"a,p/1.png,{row['sha256']},{MODE},it floats,1,no" for row in questions(out)]
    (tmp_path / "v.csv").write_text("\n".join(["generator,path,sha256,mode,says,on,answer", *rows]))

    found = benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=tmp_path / "v.csv").result

    assert found.judging is not None
    assert found.judging.n_judged == 6 + 60 + 36 + 60
    assert {row["picture"] for row in questions(out)} == {""}


def test_the_images_that_are_judged_do_not_depend_on_other_generators(world: Path, generators: Path, tmp_path: Path):
    few = Judged(n_fired=3, n_silent=5)
    for out, names in (("two", ("a", "b")), ("three", ("a", "b", "sound"))):
        benchmark_run(world / "pack", tmp_path / out, images=named(generators, *names), judged=few)

    two, three = ({row["sha256"] for row in questions(tmp_path / out)} for out in ("two", "three"))
    assert len(two) == 2 * 8
    assert two < three


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("sha256,answer\n", "has no column 'mode'"),
        ("sha256,mode,answer\nx,other,yes\n", "row 1: mode 'other': the pack has none"),
        (f"sha256,mode,answer\nx,{MODE},maybe\n", "row 1: answer 'maybe': expected yes, no, unsure"),
        (f"sha256,mode,answer\nx,{MODE},yes\nx,{MODE},no\n", "row 2: says another thing"),
    ],
)
def test_answers_that_cannot_be_used_are_named(rows: str, said: str, world: Path, generators: Path, tmp_path: Path):
    (tmp_path / "v.csv").write_text(rows)

    with pytest.raises(SettingsError, match=said):
        benchmark_run(world / "pack", tmp_path / "out", images=named(generators, "a", "b"), verdicts=tmp_path / "v.csv")


def test_a_model_that_is_the_judge_is_asked_about_the_sample_and_of_nothing_twice(
    world: Path, generators: Path, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from scripted import Script

    from autointerp.session import gateway
    from autointerp.settings import ModelChoice, ModelName

    yes = "{" + ", ".join(f'"image_{n}": "yes"' for n in range(1, 65)) + "}"
    script = Script(yes)
    monkeypatch.setattr("asyncio.sleep", _at_once)
    monkeypatch.setattr(gateway, "_client", lambda *_: script)
    out = tmp_path / "out"
    shutil.copytree(ran.out, out)
    images, few = named(generators, "a", "b"), Judged(n_fired=4, n_silent=6, per_call=64)
    judge = ModelChoice(model=ModelName("m"), base_url="http://localhost:9/v1")

    found = benchmark_run(world / "pack", out, images=images, judge=judge, judged=few).result
    again = benchmark_run(world / "pack", out, images=images, judge=judge, judged=few).result

    assert len(script.asked) == 1
    assert found.judging is not None
    assert (found.judging.judge, found.judging.n_judged) == ("m", 20)
    assert [s.modes[MODE].judged.value for s in found.sets if s.modes[MODE].judged] == [1.0, 1.0]
    assert again.sets == found.sets


async def _at_once(_: float) -> None:
    """Takes no time."""


def test_answers_in_the_table_of_questions_outlive_a_run_that_was_not_given_them(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    work = judged_table(out, out / "to-judge.csv", lambda *_: "no").read_bytes()

    benchmark_run(world / "pack", out, images=named(generators, "a", "b"))
    benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=out / "to-judge-1.csv")
    benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=out / "to-judge.csv")

    assert (out / "to-judge-1.csv").read_bytes() == work
    assert sorted(p.name for p in out.glob("to-judge*.csv")) == ["to-judge-1.csv", "to-judge.csv"]
    assert b",no" in (out / "to-judge.csv").read_bytes()


def test_a_table_of_questions_that_a_spreadsheet_has_changed_is_kept_too(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    (out / "to-judge.csv").write_text("sha256;mode;answer\nx;y;yes\n")

    benchmark_run(world / "pack", out, images=named(generators, "a", "b"))

    assert (out / "to-judge-1.csv").read_text().endswith("x;y;yes\n")


def test_answers_about_other_images_are_told_and_not_passed_over(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    (tmp_path / "v.csv").write_text(f"sha256,mode,answer\n{'0' * 64},{MODE},yes\n")

    with pytest.raises(SettingsError, match="none of its 1 answers is about an image of the sample"):
        benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=tmp_path / "v.csv")


def test_unsure_answers_are_counted_in_the_sample_alone(world: Path, generators: Path, ran: Ran, tmp_path: Path):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    answers = judged_table(out, tmp_path / "v.csv", lambda _, on: "unsure" if on else "no")
    with answers.open("a") as file:
        file.writelines(f"{i:064x},{MODE},x,,unsure\n" for i in range(5))

    found = benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=answers).result

    assert found.judging is not None
    assert found.judging.n_unsure == 6 + 36


def test_where_one_generator_alone_was_judged_all_are_ordered_by_what_fires(
    world: Path, generators: Path, ran: Ran, tmp_path: Path
):
    out = Path(shutil.copytree(ran.out, tmp_path / "out"))
    answers = judged_table(out, tmp_path / "v.csv", lambda image, _: "no" if image["generator"] == "b" else "")

    found = benchmark_run(world / "pack", out, images=named(generators, "a", "b"), verdicts=answers).result

    assert [s.name for s in found.sets] == ["a", "b"]
    assert found.ranked_by == "fired"


def test_a_file_that_stands_fifty_times_does_not_fill_the_sample():
    images = ["x"] * 50 + [f"{i:064x}" for i in range(50)]

    fired, silent = drawn(images, np.ones(100, np.bool_), "m", n_fired=40, n_silent=10, seed=0)

    assert 10 < sum(i < 50 for i in fired) < 30
    assert not len(silent)


def test_three_copies_and_another_image_say_as_much_as_four_tenths_of_their_number():
    asked = [Asked("a", sha, "m", "is it", on=True) for sha in "xxxy"]

    assert looked(asked, {("x", "m"): 1.0, ("y", "m"): 0.5}) == (Looked(3.5, 4, copies=2.5), 0)
