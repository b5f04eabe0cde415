"""`autointerp tune`: trains an explainer by what its explanations of a dump's features are worth."""

import importlib.metadata
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.clock import now
from autointerp.commands.tune import Tune
from autointerp.counting import Counting, Uncounted
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import SettingsError
from autointerp.estimation.forecast import make_explainer
from autointerp.explanation.candidate_scores import judging_settings
from autointerp.explanation.explainer import asks_network
from autointerp.explanation.meanings import Meanings
from autointerp.images.renderer import Renderer
from autointerp.ips.rewards import Group, Halted, Judged
from autointerp.ips.tuning import MODEL, Plan, newest, refuse, sees, step_of, tune_policy
from autointerp.job import OVER_BUDGET, choose, reference
from autointerp.jobs.endpoints import asking, embedder_at, judge_at
from autointerp.lmm.gateway import Tally
from autointerp.pipeline import Background, Stop
from autointerp.prompts import load_prompt
from autointerp.scoring.cases import make_judge
from autointerp.session.gateway import open_embedder, open_gateway, open_renderer, resolve_model
from autointerp.settings import (
    ExplainSettings,
    ModelName,
    ModelSettings,
)
from autointerp.tuning.folder import Features, Measure, TuneFolder, TuneInfo, measured
from autointerp.tuning.rewards import Rewarder
from autointerp.tuning.training_prompts import Scenes, parted, schedule, usable_features
from autointerp.version import __version__

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft")
TOLD = ("reward", "distinct", "collapse", "unusable", "unknown", "kl")
"""Figures of a step that are shown while it trains."""


@dataclass
class TuneResult:
    """Describes what `tune` did."""

    folder: Path
    model: Path
    """Of the trained model."""
    step: int
    """Steps done in all."""
    steps: int
    before: dict[str, Measure] | None = None
    """Of the held-out features, before the first step."""
    after: dict[str, Measure] | None = None
    """After the last one."""
    features: int = 0
    """Trained on."""
    held_out: int = 0
    """Measured."""
    left_out: int = 0
    """Features with too few images to show some and judge by others."""
    tally: Tally = field(default_factory=Tally)
    """Of the judge's calls made now."""
    spent: float = 0.0
    """Of the budget, in its unit; tokens without a budget."""
    seconds: float = 0.0
    stopped: str | None = None
    """Why it ended early; the same command goes on from the last checkpoint."""
    failed: bool = False
    """Whether a failed question ended it early, rather than the budget or a signal."""

    @property
    def halted(self) -> bool:
        """Whether the budget or a signal ended it early."""
        return self.stopped is not None and not self.failed


@dataclass(frozen=True)
class _Work:
    """All that is settled before the model is loaded."""

    o: Tune
    """The judge and the embedder with their servers."""
    dump: Dump
    source: str
    """Of the model: the folder that it is in, or its name."""
    say: Callable[[str], None]


def run(o: Tune, *, progress: Counting | None = None, stop: Stop | None = None) -> TuneResult:
    """Trains an explainer; called again with the same settings, it goes on from the last checkpoint.

    A wish to stop is heeded after the step that is being done.
    """
    started, settings, stop = time.monotonic(), o.settings, stop or Stop()
    refuse(settings)
    o = _placed(o)
    opened = open_dump(o.dump, allow_outside=o.allow_outside)
    source = str(Path(o.model).resolve()) if Path(o.model).is_dir() else o.model
    work = _Work(o, opened, source, (progress or Uncounted()).note)
    renderer = open_renderer(opened)
    try:
        scenes = _scenes(work, renderer, eyes=sees(source))
        chosen = choose(opened, o.features, width=o.width, sample=o.sample, seed=settings.seed)
        usable, broken = usable_features(opened, chosen.tolist(), scenes)
        parts = parted(usable, settings)
        with TuneFolder(o.out, _info(work, scenes, parts)) as folder:
            for record in broken:
                folder.failure(record)
            result = _result(folder, parts, left_out=len(chosen) - len(usable), steps=settings.steps)
            if not folder.info.finished:
                _train(work, scenes, folder, result, progress or Uncounted(), stop)
    finally:
        renderer.close()
    result.seconds = time.monotonic() - started
    return result


def _placed(o: Tune) -> Tune:
    judge, engine = judge_at(resolve_model(o.judge), o.engine)
    choosing = o.choosing
    if choosing.embedder is not None:
        embedder = embedder_at(resolve_model(choosing.embedder), judge)
        choosing = choosing.model_copy(update={"embedder": embedder})
    return o.model_copy(update={"judge": judge, "engine": engine, "choosing": choosing})


def _explaining(o: Tune) -> ExplainSettings:
    """What the explainer is shown; where nothing is said of it, images are drawn by the seed of the training."""
    told = "explaining" in o.model_fields_set
    if (option := asks_network(o.explaining)) is not None:
        raise SettingsError(f"{option}: hangs on the network that made the dump, which `tune` does not ask")
    return o.explaining if told else o.explaining.model_copy(update={"seed": o.settings.seed})


def _scenes(work: _Work, renderer: Renderer, *, eyes: bool) -> Scenes:
    explaining = _explaining(work.o)
    if not eyes:  # a label once an image, not once a rendering
        explaining = explaining.model_copy(update={"renderings": explaining.renderings[:1]})
    explaining = explaining.model_copy(update={"candidates": None, "hierarchy": False, "domain": None})
    explainer = make_explainer(work.dump, ModelSettings(model=ModelName(work.source)), explaining, work.o.prompts)
    below = explaining.silent_below
    looking = judging_settings(work.o.choosing, seed=work.o.settings.seed, silent_below=below)
    return Scenes(work.dump, explainer, looking, renderer, eyes=eyes)


def _info(work: _Work, scenes: Scenes, parts: Features) -> TuneInfo:
    same = load_prompt("same", work.o.prompts)
    judge = make_judge(work.o.judge, scenes.judging, (), work.o.prompts)
    ours = work.o.choosing.model_dump(mode="json", include={"n_active", "n_silent", "embedder", "same", "different"})
    if isinstance(ours["embedder"], dict):
        ours["embedder"] = ours["embedder"]["model"]
    return TuneInfo(
        version=__version__,
        versions={name: _version_of(name) for name in LIBRARIES},
        created=now(),
        dump=reference(work.dump),
        features=parts,
        settings={
            "model": work.source,
            **work.o.settings.model_dump(mode="json"),
            "explain": scenes.explaining.model_dump(mode="json"),
            "judge": work.o.judge.model_dump(mode="json", exclude={"base_url"}),
            "judging": ours,
            "prompts": {p.name: p.digest[:12] for p in (*scenes.prompts, *judge.prompts, same)},
        },
    )


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _result(folder: TuneFolder, parts: Features, *, left_out: int, steps: int) -> TuneResult:
    info = folder.info
    return TuneResult(
        folder=folder.path,
        model=folder.path / MODEL,
        step=steps if info.finished else step_of(newest(folder.path)),
        steps=steps,
        before=info.before,
        after=info.after,
        features=len(parts.train),
        held_out=len(parts.held_out),
        left_out=left_out,
    )


def _train(work: _Work, scenes: Scenes, folder: TuneFolder, result: TuneResult, progress: Counting, stop: Stop) -> None:
    settings = work.o.settings
    folder.begin(result.step)

    def step_done(step: int, figures: Mapping[str, float]) -> None:
        folder.metric(step, figures)
        told = ", ".join(f"{name} {figures[name]:.3g}" for name in TOLD if name in figures)
        progress.count("steps", step, settings.steps, told)

    def held_out(step: int, groups: Sequence[Group]) -> None:
        figures = {name: [float(getattr(g, name)) for g in groups] for name in Group._fields[1:]}
        folder.update(**{"before" if step == 0 else "after": measured(figures, settings.seed)})

    with Background(lambda: _rewarder(work, scenes, folder)) as judging, stop.on_interrupt_without_loop():

        def judge(features: Sequence[int], replies: Sequence[str]) -> list[Judged]:
            return judging.run(lambda rewarder: rewarder.judged(features, replies, group=settings.group))

        plan = Plan(
            source=work.source,
            asks=scenes.ask,
            judging=judge,
            train=schedule(folder.info.features.train, settings),
            held_out=folder.info.features.held_out,
            settings=settings,
            folder=folder.path,
        )
        try:
            done = tune_policy(plan, told=step_done, measured=held_out, stopping=lambda: stop.reason is not None)
            result.stopped = None if done else stop.reason
        except Halted as e:
            done, result.stopped, result.failed = False, str(e), str(e) != OVER_BUDGET
        if done:
            folder.update(finished=True)
        gateway = judging.value.gateway
        result.tally, result.spent = gateway.tally, gateway.spent
    result.step = settings.steps if done else step_of(newest(folder.path))
    result.before, result.after = folder.info.before, folder.info.after


@asynccontextmanager
async def _rewarder(work: _Work, scenes: Scenes, folder: TuneFolder) -> AsyncIterator[Rewarder]:
    """The judge, and the embedder where there is one, for as long as the context lasts."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            open_gateway(work.o.judge, work.o.engine, work.dump, cache=work.o.cache, prices=work.o.prices, say=work.say)
        )
        embedder = await stack.enter_async_context(
            open_embedder(work.o.choosing.embedder, work.o.engine, work.dump, cache=work.o.cache, say=work.say)
        )
        for line in asking(work.o.judge, work.o.engine, work.o.choosing.embedder):
            work.say(line)
        # A pair that the judge refuses counts as the same: were it different, refusals would pay for paraphrase.
        meanings = Meanings(
            work.o.judge, load_prompt("same", work.o.prompts), work.o.choosing, embedder, unanswered=1.0
        )
        judge = make_judge(work.o.judge, scenes.judging, (), work.o.prompts)
        yield Rewarder(scenes, judge, meanings, gateway, folder.failure)
