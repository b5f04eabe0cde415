"""`autointerp compare --vary`: runs that differ in one setting each, made and compared by one command."""

import json
from pathlib import Path

import pytest
from standin.commands import Result, run, says
from standin.mind import Question, as_text
from standin.planted import Population
from standin.server import StandIn

from autointerp.commands.compare import Compare
from autointerp.commands.compare import compare as compare_command
from autointerp.jobs.compare_many import Comparisons
from autointerp.jobs.variations import variations
from autointerp.jobs.vary import Varied
from autointerp.runs.folder import open_run


def vary(planted: Population, seer: StandIn, here: Path, *options: str) -> Result:
    model = ("--model", "seer", "--base-url", seer.url, "--concurrency", "8")
    return run("compare", planted.folder, "--run", here / "runs", *model, *options)


def blind_on_small_sheets(question: Question, value: dict[str, object]) -> str:
    """For `StandIn.text_of`: a judge that says no to everything where four images or fewer are shown."""
    if question.task == "judge" and len(question.judged) <= 4:
        return as_text(dict.fromkeys(value, "no"))
    return as_text(value)


def test_one_command_says_which_setting_matters_and_asks_nothing_twice(planted: Population, seer: StandIn, here: Path):
    seer.text_of = blind_on_small_sheets
    options = ("--vary", "per-call=4", "--vary", "levels=words,none")

    result = vary(planted, seer, here, *options)
    asked = len(seer.calls)
    again = vary(planted, seer, here, *options, "--json")
    found = Varied.model_validate_json(again.out).comparisons

    assert (result.code, again.code, len(seer.calls)) == (0, 0, asked)
    assert sorted(p.name for p in (here / "runs").iterdir()) == ["base", "levels-none", "per-call-4"]
    assert found is not None
    small, unnamed = found.others
    # All twelve fell from 1 to 0, which 2 of the 2^12 signs do; levels changed nothing and so are no second test.
    assert (small.scorers[0].contrast.difference.value, small.scorers[0].p_holm) == (-1.0, 2 / 2**12)
    assert (found.tests, unnamed.scorers[0].contrast.equal) == (1, 1.0)
    assert "per-call=4: matters: detection -1.000" in result.out
    assert "levels=none: no difference is shown; detection +0.000 is the largest" in result.out
    assert (small.varied, unnamed.varied) == (("--per-call: 12 | 4",), ("--levels: words | none",))


def test_a_setting_of_the_judge_alone_explains_from_the_cache(planted: Population, seer: StandIn, here: Path):
    vary(planted, seer, here, "--vary", "judge-rendering=crop", "--sample", "3")

    base, crop = (open_run(here / "runs" / name) for name in ("base", "judge-rendering-crop"))
    assert sum(c.question is not None and c.question.task == "explain" for c in seer.calls) == 3
    assert {e.feature: e.text for e in base.explanations()} == {e.feature: e.text for e in crop.explanations()}
    assert crop.info.score is not None
    assert (crop.info.score.settings.rendering, crop.info.explain) == ("crop", base.info.explain)


def test_the_number_of_questions_is_told_and_a_dry_run_asks_none(planted: Population, seer: StandIn, here: Path):
    result = vary(planted, seer, here, "--vary", "contrast=0", "--vary", "per-call=24", "--controls", "0", "--dry-run")

    assert (result.code, seer.calls, (here / "runs").exists()) == (0, [], False)
    assert "estimated: 3 runs of 12 features ask at most " in result.err
    base, contrast, sheets = json.loads(vary(planted, seer, here, "--vary", "contrast=0", "--vary", "per-call=24",
        "--controls", "0", "--dry-run", "--json").out)["runs"]  # fmt: skip
    # Of each feature one explanation, and its images by twelve or by twenty-four; sheets need no new explanation.
    assert base["calls"]["requests"] - sheets["calls"]["requests"] > 12
    assert contrast["calls"]["requests"] >= base["calls"]["requests"]


def test_a_run_that_is_stopped_goes_on_with_the_same_command(planted: Population, seer: StandIn, here: Path):
    options = ("--vary", "contrast=0", "--sample", "4", "--controls", "0")

    stopped = vary(planted, seer, here, *options, "--budget", "9k tokens")
    done = vary(planted, seer, here, *options)

    assert (stopped.code, done.code) == (3, 0)
    assert "stopped: over budget; nothing is compared yet" in stopped.out
    answered = [c.digest for c in seer.calls if c.status == 200]
    assert len(answered) == len(set(answered))


def test_a_base_of_which_all_features_failed_is_the_end(planted: Population, seer: StandIn, here: Path):
    seer.fault_rate, seer.fault_kinds = 1.0, ("refusal",)

    failed = vary(planted, seer, here, "--vary", "contrast=0", "--features", "0-1")

    assert failed.code == 2
    assert failed.err.endswith(
        "runs/base: no feature is scored, since all failed (its failures.jsonl says why); mend that, then run the same "
        "command again\n"
    )
    assert not (here / "runs" / "contrast-0").exists()


def test_of_several_runs_each_is_held_against_the_first(planted: Population, seer: StandIn, here: Path):
    vary(planted, seer, here, "--vary", "contrast=0", "--vary", "top=4", "--sample", "3")
    runs = [here / "runs" / name for name in ("base", "contrast-0", "top-4")]

    result, found = run("compare", *runs), compare_command(*map(str, runs[:2]), more=str(runs[2]))

    assert isinstance(found, Comparisons)
    assert [c.varied for c in found.others] == [("--contrast: 4 | 0",), ("--top: 8 | 4",)]
    assert [c.a.run for c in found.others] == [str(runs[0])] * 2
    assert "--contrast: 4 | 0: no difference is shown" in result.out
    assert "differ in" not in result.out
    # Two settings lie between the others.
    between = run("compare", *runs[1:])
    assert "note: A and B differ in 2 settings: a difference between them is not the work of one of them" in between.out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--vary", "nothing=1"), "--vary nothing: no option of explain or score that changes an answer; there is "
         "judge-rendering, rendering, outline, levels, contrast, top, per-call …"),
        (("--vary", "judge-base-url=http://u:p@x/v1"), "--vary judge-base-url: no option of explain or score that "
         "changes an answer; there is judge-rendering, rendering, outline, levels, contrast, top, per-call …"),
        (("--vary", "concurrency=1"), "--vary concurrency: no option of explain or score that changes an answer; there "
         "is judge-rendering, rendering, outline, levels, contrast, top, per-call …"),
        (("--vary", "levels"), "--vary levels: write it as an option and its values, e.g. --vary contrast=0,8"),
        (("--vary", "levels=words"), "--vary levels=words: the base has that value already; name another one"),
        (("--vary", "levels=loud"), "--levels 'loud': input should be 'words', 'numbers' or 'none'"),
        (("--vary", "top=4,4"), "--vary top=4: is there twice; leave one of them out"),
        (("--vary", "top=4", "--run", "{dump}"), "--run {dump}: is the dump itself; name a folder beside it, "
         "and move a run that is there already"),
    ],
)  # fmt: skip
def test_what_cannot_be_varied_is_one_line(
    options: tuple[str, ...], line: str, planted: Population, seer: StandIn, here: Path
):
    dump = str(planted.folder)

    says(vary(planted, seer, here, *(o.format(dump=dump) for o in options)), line.format(dump=dump))


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("a",), "name two runs at least, one run that several judges scored, or a dump with --vary and --run"),
        (("a", "b", "--out", "c"), "--out: is for two judges of one run; name that run alone, or leave it out"),
        (("a", "b", "--judge", "j", "--judge", "k", "--judge", "l"), "--judge: 3 judges for 2 runs; name one for all, "
         "or one for each run"),
        (("a", "--judge", "j", "--vary", "top=4"), "--judge: the runs of --vary have one judge each, which "
         "--judge-model names"),
        (("a", "b", "--top", "4"), "--top: it goes with --vary; two runs are compared as they are"),
        (("a", "b", "--vary", "top=4"), "--vary: name the dump alone, without a run"),
        (("a", "--vary", "top=4"), "--vary: name a folder for the runs with --run"),
        (("a", "--vary", "top=4", "--run", "b"), "--vary: name a model with --model: one that your endpoint knows, "
         "e.g. gpt-5-mini"),
    ],
)  # fmt: skip
def test_what_is_missing_is_one_line(args: tuple[str, ...], line: str, here: Path):
    says(run("compare", *args), line)


def test_values_of_an_option_that_is_repeated_are_joined():
    o = Compare.given({"run_a": "d", "vary": ("rendering=outline+crop,mask", "seed=1")})

    found = variations(o)

    assert [(v.name, v.settings.explain.renderings, v.explains) for v in found] == [
        ("base", ("outline", "crop"), True),
        ("rendering=mask", ("mask",), True),
        ("seed=1", ("outline", "crop"), True),
    ]
