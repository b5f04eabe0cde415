"""`autointerp tune`: tiny explainers trained by a judge that sees, stopped, killed, and refused."""

# ruff: noqa: E402  # what comes after the skip needs the extra

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.commands import Result, run, says
from standin.planted import FEATURES, Population, plant
from standin.server import StandIn

import autointerp
from autointerp.extras import RL
from autointerp.pipeline import Stop
from autointerp.settings import CandidateSettings, ModelSettings, TuneSettings

for module in (*RL, "peft"):
    pytest.importorskip(module, reason="the extra `rl` is not installed")

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

from tiny_explainer import make

from autointerp.counting import Uncounted
from autointerp.jobs.tune import TuneResult

PHRASES = ("red circle", "blue square", "green triangle")
LOOK = ("--top", "2", "--bands", "2", "--contrast", "1", "--rendering", "crop", "--active", "6", "--silent", "6")
SMALL = ("--candidates", "8", "--batch", "2", "--max-tokens", "1", "--learning-rate", "3e-3", "--embedder", "none")
STEPS = ("--steps", "6", "--save-every", "3", "--held-out", "0.3")


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Feature 0 fires on red circles and on blue squares, 1 and 2 on one of them each, 3 on green triangles."""
    return plant(tmp_path_factory.mktemp("dump") / "dump", features=[FEATURES[i] for i in (6, 0, 1, 2)], n_images=160)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of text."""
    folder = tmp_path_factory.mktemp("reader") / "model"
    make(folder, PHRASES, eyes=False)
    return folder


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with eyes."""
    folder = tmp_path_factory.mktemp("seeing") / "model"
    make(folder, PHRASES, eyes=True)
    return folder


@pytest.fixture(scope="module")
def judge() -> Iterator[StandIn]:
    """The judge; tests that make it fail mend it again."""
    with StandIn() as server:
        yield server


@pytest.fixture(scope="module")
def straight(dump: Population, reader: Path, judge: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps without a stop; not to be written to."""
    out = tmp_path_factory.mktemp("straight") / "out"
    assert tune(dump, reader, out, judge, *SMALL, *STEPS, "--cache", out.parent / "cache").code == 0
    return out


def options(dump: Population, model: Path, out: Path, judge: StandIn, *more: str | Path) -> tuple[str | Path, ...]:
    where = ("--judge-model", "seer", "--judge-base-url", judge.url, "--concurrency", "8")
    return "tune", dump.folder, "--model", model, "--out", out, *where, *LOOK, *more


def tune(dump: Population, model: Path, out: Path, judge: StandIn, *more: str | Path) -> Result:
    return run(*options(dump, model, out, judge, *more))


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same(out: Path, other: Path) -> bool:
    """Whether two runs came to the same weights by the same steps."""
    told = [json.loads((folder / "tune.json").read_text()) for folder in (out, other)]
    assert told[0]["before"] == told[1]["before"]
    assert told[0]["after"] == told[1]["after"]
    files = ("model/model.safetensors", "metrics.jsonl")
    return all((out / file).read_bytes() == (other / file).read_bytes() for file in files)


def test_of_two_true_concepts_ips_keeps_both_where_grpo_settles_on_one(
    dump: Population, reader: Path, judge: StandIn, tmp_path: Path
):
    more = ("--features", "0", "--held-out", "0", "--kl", "0", "--steps", "12", "--candidates", "16")
    more = (*SMALL, *more, "--learning-rate", "5e-3")

    results = [tune(dump, reader, tmp_path / m, judge, *more, "--method", m) for m in ("ips", "grpo")]

    assert [r.code for r in results] == [0, 0], results
    ips, grpo = (metrics(tmp_path / m)[-5:] for m in ("ips", "grpo"))
    # Both concepts explain half of the active images and no silent one: J is a half for either.
    assert all(line["reward"] == pytest.approx(0.5, abs=0.1) for line in (*ips, *grpo))
    assert sum(line["collapse"] for line in ips) / 5 == pytest.approx(0.5, abs=0.1)
    assert sum(line["collapse"] for line in grpo) / 5 > 0.8


def test_a_model_with_eyes_is_trained_by_adapters_of_its_language_model_alone(
    dump: Population, seeing: Path, judge: StandIn, tmp_path: Path
):
    out = tmp_path / "out"

    result = tune(dump, seeing, out, judge, *SMALL, "--steps", "2", "--held-out", "0.3", "--lora", "2", "--json")

    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert (told["step"], told["features"], told["held_out"], told["stopped"]) == (2, 3, 1, None)
    assert set(told["before"]) == set(told["after"]) >= {"reward", "distinct", "unusable", "unknown"}
    assert told["before"]["reward"]["low"] is None  # one feature gives no interval
    adapters = load_file(out / "model" / "adapter_model.safetensors")
    assert adapters
    assert not any("vision" in name or "projector" in name for name in adapters)
    assert any(value.abs().sum() > 0 for name, value in adapters.items() if "lora_B" in name)
    assert (out / "model" / "processor_config.json").exists()


KILLED = """
import os, signal
from autointerp.cli.main import main
from autointerp.tuning.folder import TuneFolder

def killed_in_the_fourth_step(self, step, figures):
    if step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    metric(self, step, figures)

metric, TuneFolder.metric = TuneFolder.metric, killed_in_the_fourth_step
main()
"""


def test_killed_after_a_checkpoint_it_goes_on_to_the_very_same_weights(
    dump: Population, reader: Path, judge: StandIn, straight: Path, tmp_path: Path
):
    out = tmp_path / "out"
    given = options(dump, reader, out, judge, *SMALL, *STEPS, "--cache", tmp_path / "cache")

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, given)], capture_output=True, cwd=ROOT, check=False
    )

    assert killed.returncode == -signal.SIGKILL
    assert (out / "checkpoint-3" / "whole").exists()
    assert not json.loads((out / "tune.json").read_text())["finished"]
    (out / "checkpoint-5").mkdir()  # as a kill while writing it leaves it

    result = run(*given)

    assert result.code == 0, result.err
    assert "steps: 6/6" in result.err
    assert [line["step"] for line in metrics(out)] == list(range(1, 7))
    assert same(out, straight)


def test_a_judge_that_is_away_stops_the_training_and_once_it_is_back_the_same_command_ends_at_the_same_weights(
    dump: Population, reader: Path, judge: StandIn, straight: Path, tmp_path: Path
):
    given = (*SMALL, *STEPS, "--cache", tmp_path / "cache", "--attempts", "1")
    calls = len(judge.calls)

    def away(number: int) -> None:
        judge.status = (503, "overloaded") if number > calls + 6 else None

    judge.on_call = away
    try:
        stopped = tune(dump, reader, tmp_path / "out", judge, *given)
    finally:
        judge.on_call = judge.status = None
    poor = tune(dump, reader, tmp_path / "out", judge, *given, "--budget", "1 tokens")
    done = tune(dump, reader, tmp_path / "out", judge, *given)

    assert (poor.code, "stopped: over budget; run the same command again" in poor.out) == (3, True)
    assert stopped.code == 1
    assert "stopped: http_503: " in stopped.out
    assert "run the same command again to go on" in stopped.out
    assert not any(line.get("unknown") for line in metrics(tmp_path / "out"))
    assert done.code == 0, done.err
    assert same(tmp_path / "out", straight)


def test_asked_to_stop_it_writes_a_checkpoint_after_the_step_and_goes_on_from_there(
    dump: Population, reader: Path, judge: StandIn, tmp_path: Path
):
    stop, steps = Stop(), list[int]()

    class Stopping(Uncounted):
        def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
            steps.append(done)
            if done == 2:
                stop.ask("interrupted")

    def again(stop: Stop) -> TuneResult:
        return autointerp.tune(
            dump.folder,
            tmp_path / "out",
            model=str(reader),
            judge=ModelSettings(model="seer", base_url=judge.url),
            settings=TuneSettings(group=4, batch=1, steps=4, max_tokens=1, held_out=0.0),
            choosing=CandidateSettings(embedder=None),
            progress=Stopping(),
            stop=stop,
        )

    first, second = again(stop), again(Stop())

    # A step is told of when it is over, so the wish is heard at the end of the next one.
    assert (first.step, first.stopped, second.step, second.stopped) == (3, "interrupted", 4, None)
    assert steps == [1, 2, 3, 4]


def test_a_judge_in_the_same_process_that_draws_by_chance_changes_nothing(
    dump: Population, reader: Path, judge: StandIn, straight: Path, tmp_path: Path
):
    def drawing(question: object, answer: dict[str, object]) -> str:
        torch.rand(3)
        return json.dumps(answer)

    judge.text_of = drawing
    try:
        result = tune(dump, reader, tmp_path / "out", judge, *SMALL, *STEPS)
    finally:
        judge.text_of = None

    assert result.code == 0, result.err
    assert same(tmp_path / "out", straight)


def test_a_judge_that_refuses_a_text_neither_pays_nor_punishes_it(
    dump: Population, reader: Path, judge: StandIn, tmp_path: Path
):
    def refuses(question: object, answer: dict[str, object]) -> str:
        if "Description: red circle" in getattr(question, "text", ""):
            return "I'm sorry, I can't help with that."
        return json.dumps(answer)

    judge.text_of = refuses
    try:
        result = tune(dump, reader, tmp_path / "out", judge, *SMALL, "--steps", "1", "--features", "0-1")
    finally:
        judge.text_of = None

    assert result.code == 0, result.err
    (line,) = metrics(tmp_path / "out")
    assert 0.5 < line["unknown"] < 1
    failures = [json.loads(text) for text in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert {(f["stage"], f["kind"]) for f in failures} == {("tune:judge", "refused")}


def test_what_is_finished_is_told_again_and_nothing_is_asked(
    dump: Population, reader: Path, judge: StandIn, straight: Path
):
    before, calls = (straight / "tune.json").read_bytes(), len(judge.calls)

    result = tune(dump, reader, straight, judge, *SMALL, *STEPS)

    assert result.code == 0
    assert "6 of 6 steps on 3 features" in result.out
    assert f"next: vllm serve {straight / 'model'}" in result.out
    assert (straight / "tune.json").read_bytes() == before
    assert len(judge.calls) == calls


def test_stopped_after_the_last_step_it_only_measures_and_writes_the_model(
    dump: Population, reader: Path, judge: StandIn, straight: Path, tmp_path: Path
):
    out = tmp_path / "out"
    shutil.copytree(straight, out)
    shutil.rmtree(out / "model")
    told = json.loads((out / "tune.json").read_text())
    (out / "tune.json").write_text(json.dumps(told | {"finished": False, "after": None}))

    result = tune(dump, reader, out, judge, *SMALL, *STEPS)

    assert result.code == 0, result.err
    assert "steps" not in result.err
    assert same(out, straight)


def test_a_folder_of_other_settings_is_refused_by_the_setting(
    dump: Population, reader: Path, judge: StandIn, straight: Path
):
    result = tune(dump, reader, straight, judge, *SMALL, *STEPS, "--epsilon", "0.2")

    says(result, f"{straight}: was made with epsilon 0.0, which is now 0.2; give the same, or another --out")


def test_a_model_that_sees_nothing_needs_labels(reader: Path, judge: StandIn, tmp_path: Path):
    bare = plant(tmp_path / "dump", features=FEATURES[:1], n_images=120, labels=False)

    result = tune(bare, reader, tmp_path / "out", judge, *SMALL)

    assert result.code == 2
    assert "has no label, and the model of --model sees no pictures; take one that does" in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_chat_template_is_refused(dump: Population, reader: Path, judge: StandIn, tmp_path: Path):
    bare = tmp_path / "bare"
    shutil.copytree(reader, bare)
    (bare / "chat_template.jinja").unlink()

    result = tune(dump, bare, tmp_path / "out", judge, *SMALL)

    says(result, f"--model {bare}: has no chat template; take a model tuned to follow instructions")
    assert not (tmp_path / "out").exists()


BAD = [
    (("--model", "no/such/folder"), "--model no/such/folder: cannot be loaded as a Hugging Face model: "),
    (("--method", "ppo"), "--method 'ppo': input should be 'ips' or 'grpo'"),
    (("--forward", "5"), "--forward 5: does not divide the 16 replies of a step; take a divisor"),
    (("--features", "99"), "features 99 do not exist: this dump has 0 to 15"),
    (("--learning-rate", "0"), "--learning-rate 0.0: input should be greater than 0"),
    (
        ("--judge-model", ""),
        "--judge-model '': string should have at least 1 character",
    ),
]


@pytest.mark.parametrize(("given", "line"), BAD, ids=[" ".join(given) for given, _ in BAD])
def test_bad_input_is_one_line(
    given: tuple[str, ...],
    line: str,
    dump: Population,
    reader: Path,
    judge: StandIn,
    tmp_path: Path,
):
    result = tune(dump, reader, tmp_path / "out", judge, *SMALL, *given)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"autointerp: {line}")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_in_it_is_refused(dump: Population, reader: Path, judge: StandIn, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")

    result = tune(dump, reader, tmp_path, judge, *SMALL)

    says(result, f"{tmp_path}: holds something else; give another --out")
