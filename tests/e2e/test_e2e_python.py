"""The same jobs from Python, from a running event loop, and from two processes at once."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from standin import child
from standin.offline import answer_files
from standin.planted import FEATURES, Population, kinds
from standin.records import explanations, f1
from standin.server import StandIn

import autointerp


def test_functions_work_inside_a_running_loop_as_notebooks_have_one(planted: Population, seer: StandIn, tmp_path: Path):
    model = autointerp.ModelSettings(model="seer", base_url=seer.url)

    async def cell() -> tuple[int, int]:
        explained = autointerp.explain(planted.folder, tmp_path / "run", model=model, features=[0, 1])
        return explained.done, autointerp.score(tmp_path / "run", judge=model).done

    assert asyncio.run(cell()) == (2, 2)
    assert f1(tmp_path / "run") == {0: 1.0, 1: 1.0}
    assert autointerp.status(tmp_path / "run").explained == 2


def test_every_public_function_that_needs_no_model_of_its_own_works_inside_a_running_loop(
    planted: Population, seer: StandIn, here: Path
):
    model, dump = autointerp.ModelSettings(model="seer", base_url=seer.url), planted.folder
    one: dict[str, object] = {"features": [0], "model": model}
    judged: dict[str, object] = {"judge": model, "scorers": ["detection"], "controls": 0}
    (here / "pictures" / "0").mkdir(parents=True)
    shutil.copy(next((dump / "images").glob("*.png")), here / "pictures" / "0" / "a.png")
    (here / "words.csv").write_text("feature,text\n0,a red circle\n")

    def deprecated(name: str, *args: object, **options: object) -> object:
        with pytest.deprecated_call():
            return getattr(autointerp, name)(*args, **options)

    calls: dict[str, Callable[[], object]] = {
        "adopt": lambda: autointerp.adopt("words.csv", dump, "adopted"),
        "batch_calibrate": lambda: deprecated("batch_calibrate", model, out="d/c.json", calls=24),
        "batch_explain": lambda: deprecated("batch_explain", dump, "later", **one),
        "batch_score": lambda: deprecated("batch_score", "run", **judged),
        "batch_submit": lambda: autointerp.batch_submit("later", files_only=True),
        "batch_status": lambda: autointerp.batch_status("later"),
        "batch_collect": lambda: autointerp.batch_collect(
            "later", [answer_files(here / "out.jsonl", *(here / "later" / "batch").glob("requests-*.jsonl"))]
        ),
        "batch_run": lambda: autointerp.batch_run("later"),
        "calibrate": lambda: autointerp.calibrate(model=model, out="c.json", calls=12, planted_sides=(64,)),
        "cache_info": lambda: autointerp.cache_info(),
        "cache_prune": lambda: autointerp.cache_prune(older=30, dry_run=True),
        "cache_verify": lambda: autointerp.cache_verify(),
        "compare": lambda: autointerp.compare("run", shutil.copytree("run", "other")),
        "draw_feature": lambda: autointerp.draw_feature(dump, 0, "sheet.png"),
        "estimate": lambda: autointerp.estimate(dump, models=["seer"], features=[0]),
        "explain": lambda: autointerp.explain(dump, "run", **one),
        "export": lambda: autointerp.export("run", to="csv"),
        "import_folder": lambda: autointerp.import_folder("pictures", "imported"),
        "inspect": lambda: autointerp.inspect(dump, check=True),
        "merge": lambda: autointerp.merge("run"),
        "open_dump": lambda: autointerp.open_dump(dump).close(),
        "open_run": lambda: autointerp.open_run("run").index(),
        "prompts_copy": lambda: autointerp.prompts_copy("templates"),
        "report": lambda: autointerp.report("run"),
        "run_at": lambda: autointerp.run_at("run").__enter__(),
        "run_demo": lambda: autointerp.run_demo("demo", model=model, features=[94]),
        "score": lambda: autointerp.score("run", **judged),
        "show": lambda: autointerp.show(dump, 0, "run"),
        "status": lambda: autointerp.status("run"),
    }
    first = ("explain", "score", "batch_explain", "batch_submit", "batch_status", "batch_collect", "batch_run")

    async def cell() -> None:
        for name in (*first, *sorted(calls.keys() - set(first))):
            calls[name]()

    asyncio.run(cell())

    functions = {n for n in autointerp.__all__ if callable(f := getattr(autointerp, n)) and not isinstance(f, type)}
    # Those train or run a network, and their tests below `tests/transcoder` and `tests/ips` ask for nothing.
    trains = {n for n in functions if n.startswith("train_")}
    # Those read what other tools wrote, and ask for nothing either.
    reads = {n for n in functions if n.startswith("import_")} - {"import_folder"}
    # `view` serves until it is told to end.
    # Those need what the others make first, and a network; their tests are below `tests/generators`.
    compares = {n for n in functions if n.startswith("benchmark_")}
    assert functions - calls.keys() == {"classify", "harvest", "tune", "view"} | trains | reads | compares


def test_two_processes_share_a_cache_and_an_endpoint(planted: Population, seer: StandIn, tmp_path: Path):
    cache, model = tmp_path / "cache", ("--model", "seer", "--base-url", seer.url)
    seer.delay = 0.02

    both = [child.start("explain", planted.folder, "--run", tmp_path / n, *model, cache=cache) for n in ("a", "b")]
    for process in both:
        process.join()

    assert [process.exitcode for process in both] == [0, 0]
    for name in ("a", "b"):
        found = explanations(tmp_path / name)
        assert {f: kinds(e.text) for f, e in found.items()} == {i: f.pairs for i, f in enumerate(FEATURES)}


def test_answers_without_usage_are_charged_to_the_budget_as_estimated(
    planted: Population, seer: StandIn, tmp_path: Path
):
    # A model of unknown family is estimated at some 40 000 tokens for a feature of 36 pictures.
    seer.input_tokens = 0
    model = autointerp.ModelSettings(model="seer", base_url=seer.url)
    engine = autointerp.EngineSettings(concurrency=1, budget="200k tokens")

    result = autointerp.explain(planted.folder, tmp_path / "run", model=model, engine=engine)

    assert result.stopped == "over budget"
    assert 2 <= result.done <= 6


def test_paths_may_be_text_everywhere(planted: Population, seer: StandIn, here: Path):
    (here / "prices.toml").write_text('["seer"]\ninput = 1.0\noutput = 1.0\n')
    shutil.copytree(Path(autointerp.__file__).parents[1] / "prompts", here / "prompts")
    dump, model = str(planted.folder), autointerp.ModelSettings(model="seer", base_url=seer.url)
    files = {"prompts": "prompts", "prices": "prices.toml"}

    explained = autointerp.explain(dump, "run", model=model, features=[0], cache="own-cache", **files)
    scored = autointerp.score("run", judge=model, cache="own-cache", **files)
    estimated = autointerp.estimate(dump, models=["seer"], features=[0], **files)
    kept = {"out": "judge/c.json", "keep_images": "kept", "cache": "c"}
    planned = autointerp.calibrate(model=model, batch=True, **kept, **files)
    autointerp.explain(dump, "later", model=model, features=[0], cache="own-cache", batch=True, **files)
    autointerp.score("run", judge=model, cache="own-cache", batch=True, **files)
    autointerp.draw_feature(dump, 0, "sheet.png")

    assert (explained.done, scored.done) == (1, 1)
    assert explained.tally.usage.dollars is not None
    assert explained.tally.usage.dollars > 0
    assert estimated.models[0].dollars is not None
    assert planned.out == Path("judge/c.json")
    assert all((here / name).exists() for name in ("own-cache", "sheet.png", "later/run.json", "judge/batch/plan.json"))


def test_the_demo_takes_text(seer: StandIn, here: Path):
    seer.status = (401, "Bad key")

    with pytest.raises(autointerp.AutointerpError, match="refuses the API key"):
        autointerp.run_demo("demo", model=autointerp.ModelSettings(model="seer", base_url=seer.url), features="94")
