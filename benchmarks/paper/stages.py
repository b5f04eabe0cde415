"""The recipe's stages, most of them a command of the program called from Python, and which waits for which."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autointerp.commands.train_activations import train_activations
from autointerp.commands.train_classifier import train_classifier
from autointerp.commands.train_evaluate import train_evaluate
from autointerp.commands.train_transcoder import train_transcoder
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.settings import (
    ClassifierSettings,
    CoderForm,
    EvaluateSettings,
    StoreSettings,
    TrainSettings,
    TuningSettings,
)
from benchmarks.paper.figures import row_of
from benchmarks.paper.names import FRESH, FROZEN, MS, MT, POOLED, RAW, TS, TT, TUNED
from benchmarks.paper.networks import log_odds, pooled_store, stored_peaks, units_read, vectors_of
from benchmarks.paper.pairs import render
from benchmarks.paper.population import LEARN, UNSEEN, Counts, population, read
from benchmarks.paper.remembered import remember, remembering
from benchmarks.paper.tasks import PROCESSES, Task

RANDOM = "dinov2-small:random"
BLOCK = 10
"""Of 12: the last one whose patches the class token still reads, two blocks after the first that is tuned."""
N_BLOCKS, UNFREEZE, TUNE_RATE = 12, 4, 1e-4
READS, WRITES = f"blocks.{BLOCK}.mlp.in", f"blocks.{BLOCK}.mlp.out"
WIDTHS = (128, 512, 2048)
K = 32
FORMS = {
    MT: CoderForm(widths=WIDTHS, k=K),
    TT: CoderForm(widths=WIDTHS[-1:], k=K, sparsity="topk"),
    MS: CoderForm(kind="sae", widths=WIDTHS, k=K),
    TS: CoderForm(kind="sae", widths=WIDTHS[-1:], k=K, sparsity="topk"),
}
"""The coders that are compared, by the names of their folders: one dictionary size and one k."""
NETWORKS = {TUNED: tuple(FORMS), POOLED: (MT,), FROZEN: (MT,), FRESH: (MT,)}
"""Which forms learn from which network: the tuned one's patches, or its one vector an image; the frozen one; and one of
random weights."""
SEEDS = (0, 1, 2)
HELD_OUT = 0.1
POOLED_BATCH = 128


@dataclass(frozen=True)
class Plan:
    """What the recipe is asked for."""

    work: Path
    counts: Counts
    passes: int
    """Of tuning."""
    steps: int
    """Batches of 1,024 tokens that a coder learns from."""
    pairs: int
    """Things of which pairs are drawn; each has a pair of each error."""
    stamps: Path | None
    seed: int

    @property
    def images(self) -> Path:
        """Returns the folder of images."""
        return self.work / "images"

    @property
    def truth(self) -> Path:
        """Returns the table of what is known of the images."""
        return self.work / "truth.csv"

    def log_odds(self, network: str) -> Path:
        """Returns the file of what a classifier says of unseen things."""
        return self.work / f"log-odds-{network}.csv"

    def row(self, name: str) -> Path:
        """Returns the file of a dictionary's figures."""
        return self.work / "rows" / f"{name}.json"

    def on_pairs(self, network: str) -> Path:
        """Returns the file of what a network's coders do on pairs."""
        return self.work / f"pairs-{network}.json"

    def coder(self, name: str) -> Path:
        """Returns the folder of a coder."""
        return self.work / "coders" / name

    def store(self, network: str, part: str) -> Path:
        """Returns the folder of activations."""
        return self.work / "stores" / f"{network}-{part}"

    def classifier(self, network: str) -> Path:
        """Returns the folder of the classifier on the frozen, or the tuned network."""
        return self.work / "classifiers" / network

    def peaks(self, name: str) -> Path:
        """Returns the file with the strongest activation of each latent on each image."""
        return self.work / "peaks" / f"{name}.npz"


def names_of(network: str) -> list[str]:
    """Returns the names of the coders of a network, by form and seed."""
    return [f"{network}-{form}-{seed}" for form in NETWORKS[network] for seed in SEEDS]


def all_tasks(plan: Plan) -> list[Task]:
    """Lists what is done; what much waits for comes first."""
    tasks = [
        Task("images", (), partial(draw_images, plan)),
        *(Task(f"below-{half}", ("images",), partial(below, plan, half)) for half in range(PROCESSES)),
        Task("classifier-frozen", tuple(f"below-{half}" for half in range(PROCESSES)), partial(classify, plan, FROZEN)),
        Task("classifier-tuned", ("classifier-frozen",), partial(classify, plan, TUNED)),
        Task("log-odds", ("classifier-tuned",), partial(answer, plan)),
    ]
    for network, first in ((TUNED, "classifier-tuned"), (FRESH, "images"), (FROZEN, "classifier-frozen")):
        for part in (LEARN, UNSEEN):
            tasks.append(Task(f"store-{network}-{part}", (first,), partial(store, plan, network, part)))
    stores = {n: tuple(f"store-{n}-{part}" for part in (LEARN, UNSEEN)) for n in (TUNED, FROZEN, FRESH)}
    stores[POOLED] = ("log-odds",)
    tasks.append(Task(RAW, stores[TUNED], partial(raw_units, plan)))
    tasks.append(Task(f"row-{RAW}", (RAW,), partial(row, plan, RAW)))
    tasks.append(Task("pairs", ("images",), partial(draw_pairs, plan)))
    for network, forms in NETWORKS.items():
        for form in forms:
            for seed in SEEDS:
                name = f"{network}-{form}-{seed}"
                tasks.append(Task(name, stores[network], partial(coder, plan, network, form, seed)))
                tasks.append(Task(f"row-{name}", (name,), partial(row, plan, name)))
    for network in (TUNED, FROZEN, FRESH):
        tasks.append(Task(f"pairs-{network}", ("pairs", *names_of(network)), partial(on_pairs, plan, network)))
    return tasks


def backbone(plan: Plan) -> ModuleBackbone:
    """Loads the network, which remembers what its frozen blocks made of each image."""
    return remembering(plan.work / "below", N_BLOCKS - UNFREEZE)


def below(plan: Plan, half: int) -> None:
    """Runs each second image through the frozen blocks, whose work is then remembered."""
    remember(backbone(plan), plan.images, f"blocks.{N_BLOCKS - UNFREEZE}.mlp.in", slice(half, None, PROCESSES))


def draw_images(plan: Plan) -> None:
    """Draws scenes and faces."""
    population(plan.work, plan.counts, stamps=plan.stamps, seed=plan.seed)


def draw_pairs(plan: Plan) -> None:
    """Renders pairs of things that nothing learned from."""
    if not (plan.work / "pairs" / "pairs.csv").exists():
        render(plan.work / "pairs", plan.work, n_things=plan.pairs, stamps=plan.stamps, seed=plan.seed)


def classify(plan: Plan, network: str) -> None:
    """Trains the head on the class token, and of the tuned network the last blocks too."""
    out = plan.classifier(network)
    if not (out / "classifier.json").exists():
        train_classifier(
            plan.images,
            out,
            labels=plan.work / "known.csv",
            backbone=backbone(plan),
            settings=ClassifierSettings(validation_share=0.12, test_share=0.05, seed=plan.seed),
            tuning=TuningSettings(
                unfreeze=UNFREEZE if network == TUNED else 0, tune_epochs=plan.passes, tune_rate=TUNE_RATE
            ),
            vectors=plan.work / "vectors",
        )


def answer(plan: Plan) -> None:
    """Keeps what both classifiers say of unseen images, and what the tuned one's head reads and writes."""
    asked = [plan.work / f"{part}.csv" for part in ("known", "unseen")]
    model = backbone(plan)
    for network in (FROZEN, TUNED):
        read = vectors_of(model, plan.classifier(network), plan.images, asked[1], plan.work / "vectors")
        log_odds(plan.classifier(network), read, plan.log_odds(network))
    for part, labels in zip((LEARN, UNSEEN), asked, strict=True):
        read = vectors_of(model, plan.classifier(TUNED), plan.images, labels, plan.work / "vectors")
        pooled_store(model, plan.classifier(TUNED), read, plan.store(POOLED, part))


def store(plan: Plan, network: str, part: str) -> None:
    """Stores what the layer reads and writes on the images of one part."""
    out = plan.store(network, part)
    if not (out / "manifest.json").exists():
        train_activations(
            plan.images,
            out,
            backbone=RANDOM if network == FRESH else backbone(plan),
            classifier=plan.classifier(TUNED) if network == TUNED else None,
            labels=plan.work / f"{part}.csv",
            settings=StoreSettings(reads=READS, writes=WRITES, seed=plan.seed),
        )


def coder(plan: Plan, network: str, form: str, seed: int) -> None:
    """Trains a coder, and keeps its strongest activations on all images."""
    name = f"{network}-{form}-{seed}"
    batch = POOLED_BATCH if network == POOLED else 1024
    settings = TrainSettings(steps=plan.steps, batch=batch, seed=seed, held_out=HELD_OUT)
    train_transcoder(plan.store(network, LEARN), plan.coder(name), form=FORMS[form], settings=settings, resume=True)
    _keep(plan, network, name)


def raw_units(plan: Plan) -> None:
    """Keeps the strongest activations of the layer's own units, which the coders read."""
    _keep(plan, TUNED, RAW)


def _keep(plan: Plan, network: str, name: str) -> None:
    first = plan.store(network, LEARN)
    encoder = units_read(first) if name == RAW else load_coder(plan.coder(name)).coder
    found = [stored_peaks(plan.store(network, part), encoder) for part in (LEARN, UNSEEN)]
    path = plan.peaks(name)
    path.parent.mkdir(exist_ok=True)
    half = path.with_suffix(".part.npz")
    np.savez(half, names=np.concatenate([n for n, _ in found]), peaks=np.concatenate([p for _, p in found]))
    half.replace(path)


def row(plan: Plan, name: str) -> None:
    """Gathers the figures of one dictionary."""
    made = row_of(name, plan.peaks(name), None if name == RAW else plan.coder(name), read(plan.truth), plan.seed)
    plan.row(name).parent.mkdir(exist_ok=True)
    plan.row(name).write_text(made.model_dump_json(indent=1) + "\n")


def on_pairs(plan: Plan, network: str) -> None:
    """Measures the coders of a network on pairs, and beside each an untrained one and the raw units."""
    found = train_evaluate(
        plan.store(network, LEARN),
        [str(plan.coder(name)) for name in names_of(network)],
        backbone=None if network == FRESH else backbone(plan),
        pairs=plan.work / "pairs" / "pairs.csv",
        classifier=plan.classifier(TUNED) if network == TUNED else None,
        settings=EvaluateSettings(tokens=8192, seed=plan.seed),
    )
    plan.on_pairs(network).write_text(found.model_dump_json(indent=1) + "\n")
