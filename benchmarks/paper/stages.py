"""The recipe's stages, each a command of the program called from Python; what is there already is not made again."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autointerp.commands.explain import explain
from autointerp.commands.harvest import harvest
from autointerp.commands.score import score
from autointerp.commands.train_activations import train_activations
from autointerp.commands.train_classifier import train_classifier
from autointerp.commands.train_evaluate import train_evaluate
from autointerp.commands.train_transcoder import train_transcoder
from autointerp.dump.reader import open_dump
from autointerp.settings import EngineSettings, ExplainSettings, ModelSettings, ScoreSettings
from autointerp.transcoder.evaluation import Effect, Evaluation
from autointerp.transcoder.settings import (
    ClassifierSettings,
    CoderForm,
    EvaluateSettings,
    HarvestSettings,
    StoreSettings,
    TrainSettings,
)
from benchmarks.paper.population import Image

BACKBONE, RANDOM = "dinov2-small", "dinov2-small:random"
BLOCK = 8
READS, WRITES = f"blocks.{BLOCK}.mlp.in", f"blocks.{BLOCK}.mlp.out"
RAW = f"raw:blocks.{BLOCK}.mlp.hidden"
WIDTHS = (128, 512, 2048)
K = 32
FORMS = {
    "matryoshka-transcoder": CoderForm(widths=WIDTHS, k=K),
    "topk-transcoder": CoderForm(widths=WIDTHS[-1:], k=K, sparsity="topk"),
    "matryoshka-sae": CoderForm(kind="sae", widths=WIDTHS, k=K),
    "topk-sae": CoderForm(kind="sae", widths=WIDTHS[-1:], k=K, sparsity="topk"),
}
"""The coders that are compared, by the names of their folders: one dictionary size and one k."""
CONTROL = "random-weights"
"""Folder of the Matryoshka transcoder of a model with random weights."""
DENSITY = 0.03
"""Half of the latents fire on so many of the images."""
LEAST_ACTIVE = 29
"""Images that a feature must fire on to be drawn: 16 to explain, 5 and more to score, and some that are alike."""


@dataclass
class Clock:
    """Seconds of each stage, by the clock and of the processor, for the page."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Says what begins, and remembers how long it took."""
        began, spent = time.monotonic(), time.process_time()
        sys.stderr.write(f"{name} …\n")
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.monotonic() - began
        self.cpu[name] = self.cpu.get(name, 0) + time.process_time() - spent
        sys.stderr.write(f"{name}: {self.seconds[name]:.0f} s, {self.cpu[name]:.0f} s of CPU\n")


@dataclass(frozen=True)
class Plan:
    """What the recipe is asked for."""

    work: Path
    images: Path
    labels: Path
    steps: int
    n_features: int
    seed: int
    model: ModelSettings
    engine: EngineSettings
    cache: Path


def classifier(plan: Plan, clock: Clock) -> Path:
    """A linear head on the last block's patches."""
    out = plan.work / "classifier"
    if not (out / "classifier.json").exists():
        with clock.stage("train classifier"):
            train_classifier(
                plan.images,
                out,
                labels=plan.labels,
                settings=ClassifierSettings(head="linear", test_share=0.15, seed=plan.seed),
                vectors=plan.work / "vectors",
            )
    return out


def coders(plan: Plan, clock: Clock) -> list[Path]:
    """Activations of both backbones, and a coder of each form; the control last."""
    stores = {BACKBONE: plan.work / "store", RANDOM: plan.work / "store-random"}
    for backbone, folder in stores.items():
        if not (folder / "manifest.json").exists():
            with clock.stage("train activations"):
                settings = StoreSettings(reads=READS, writes=WRITES, seed=plan.seed)
                train_activations(plan.images, folder, backbone=backbone, labels=plan.labels, settings=settings)
    todo = [(stores[BACKBONE], plan.work / "coders" / name, form) for name, form in FORMS.items()]
    todo.append((stores[RANDOM], plan.work / "coders" / CONTROL, FORMS["matryoshka-transcoder"]))
    for store, out, form in todo:
        if not (out / "coder.json").exists():
            with clock.stage("train transcoder"):
                settings = TrainSettings(steps=plan.steps, seed=plan.seed, held_out=0.15)
                train_transcoder(store, out, form=form, settings=settings, resume=True)
    return [out for _, out, _ in todo]


def evaluation(plan: Plan, clock: Clock, coders: Sequence[Path], head: Path) -> Evaluation:
    """What the coders reconstruct, what their latents go with, and what the classifier loses by them."""
    file = plan.work / "evaluation.json"
    if not file.exists():
        with clock.stage("train evaluate"):
            found = train_evaluate(
                plan.work / "store",
                coders[:-1],
                images=plan.images,
                labels=plan.labels,
                classifier=head,
                controls=coders[-1:],
                settings=EvaluateSettings(density=DENSITY, seed=plan.seed),
            )
        file.write_text(found.model_dump_json(indent=2) + "\n")
    return Evaluation.model_validate_json(file.read_text())


def dumps(plan: Plan, clock: Clock, coders: Sequence[Path]) -> dict[str, Path]:
    """A dump of each coder, and of the layer's own units, by name."""
    settings = HarvestSettings(density=DENSITY, seed=plan.seed)
    learned, control = plan.work / "dumps", plan.work / "dump-random"
    for out, specs in ((learned, [*coders[:-1], RAW]), (control, coders[-1:])):
        if not out.exists():
            with clock.stage("harvest"):
                harvest(plan.images, out, specs, labels=plan.labels, settings=settings, store="bytes")
    return {p.name: p for p in sorted(learned.iterdir()) if p.is_dir()} | {CONTROL: control}


def runs(plan: Plan, clock: Clock, found: dict[str, Path]) -> dict[str, Path]:
    """Features of each dump explained and scored, drawn by the seed among those with enough evidence."""
    out: dict[str, Path] = {}
    for name, dump in found.items():
        run = plan.work / "runs" / name
        chosen = drawn(dump, plan.n_features, plan.seed)
        settings = ExplainSettings(seed=plan.seed, domain=_domain(plan.model))
        with clock.stage("explain"):
            explain(
                dump, run, model=plan.model, features=chosen, settings=settings, engine=plan.engine, cache=plan.cache
            )
        with clock.stage("score"):
            judged = ScoreSettings(seed=plan.seed)
            score(run, judge=plan.model, settings=judged, engine=plan.engine, cache=plan.cache)
        out[name] = run
    return out


def _domain(model: ModelSettings) -> str | None:
    # The embedded model knows objects, hardly physics: its second pass would be noise.
    return None if model.model == "local" else "physical-plausibility"


def drawn(dump: Path, n: int, seed: int) -> list[int]:
    """Ids of `n` features that fire on enough images, ascending."""
    with open_dump(dump) as opened:
        table = opened.features_table()
    often = table["n_active"].to_numpy() >= LEAST_ACTIVE
    alive = table["feature"].to_numpy()[often]
    chance = np.random.default_rng((0x9A9E5, seed))
    return sorted(int(i) for i in chance.choice(alive, min(n, len(alive)), replace=False))


def counted(rows: Sequence[Image]) -> dict[str, int]:
    """Images by what is wrong with them; of no known error: `sound` ones, and `unlabelled` ones."""
    names = [r.kind or ("sound" if r.label == "0" else "unlabelled") for r in rows]
    return {name: names.count(name) for name in sorted(set(names))}


def effects(found: Evaluation) -> dict[str, tuple[Effect, ...]]:
    """By coder, what the classifier says with it in the layer's place."""
    return {Path(c.coder).name: c.effects for c in found.coders}
