"""Scores every explanation of a feature by the package's own code, under each way of showing pictures."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.dump.reader import Dump, open_dump
from autointerp.evidence import draw_shown
from autointerp.job import images_of
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.prompts import load_prompt
from autointerp.schema import Explanation, Feature, Scored, Usage
from autointerp.scoring.case import Case, Population
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorers.detection import DETECTION
from autointerp.session.gateway import open_renderer
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings
from autointerp.statistics.rates import weighted_rates
from benchmarks.truth.looking.harvest import Size, write_dump
from benchmarks.truth.looking.judge import PERFECT, Errs, Looking
from benchmarks.truth.looking.leaks import Cell, statistics_of
from benchmarks.truth.looking.population import TEXTS, Planted, World, plant
from benchmarks.truth.looking.things import Bools, Floats

REPLICATES = 100


@dataclass(frozen=True)
class Showing:
    """A way of showing images to the judge."""

    name: str
    settings: ScoreSettings
    silent_heat: str = "none"
    """What the dump's silent rows say of a region, as `write_dump` takes it."""


@dataclass(frozen=True)
class Plan:
    """One feature under one judge."""

    world: World
    kind: str
    rate: float
    number: int
    showings: tuple[Showing, ...]
    size: Size
    judges: tuple[Errs, ...] = (PERFECT,)
    texts: tuple[str, ...] = TEXTS


@dataclass(frozen=True)
class Record:
    """One score of one explanation."""

    showing: str
    judge: str
    side: float
    placement: str
    kind: str
    rate: float
    number: int
    text: str
    score: float
    truth: float
    """F1 that the judge would give over the whole population, were it shown everything."""
    known: float
    """F1 on the judged images by what is true of them: the score less this is the doing of the pictures alone."""
    silent_yes: float
    """The share of the silent images judged that were said to fit."""


def run(plan: Plan) -> tuple[list[Record], list[Cell]]:
    """All records of a plan, and statistics of the cells that the judge was shown."""
    planted = plant(plan.world, plan.kind, plan.rate, plan.number)
    records: list[Record] = []
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as name:
        for silent_heat in dict.fromkeys(s.silent_heat for s in plan.showings):
            folder = Path(name) / silent_heat
            write_dump(folder, planted, plan.size, silent_heat)
            with open_dump(folder) as dump:
                for showing in (s for s in plan.showings if s.silent_heat == silent_heat):
                    found, looked = _shown(plan, planted, dump, showing, Path(name))
                    records += found
                    cells += looked
    return records, cells


def _shown(plan: Plan, planted: Planted, dump: Dump, showing: Showing, folder: Path) -> tuple[list[Record], list[Cell]]:
    feature = next(iter(dump.features()))
    records: list[Record] = []
    perfect = Looking(PERFECT, planted.concepts)
    for errs in plan.judges:
        looking = Looking(errs, planted.concepts, perfect.seen, perfect.cells, perfect.shown)
        with _gateway(looking, dump, folder / f"{showing.name} {errs.name}") as gateway:
            for kind in plan.texts:
                text = planted.texts[kind]
                case = _case(feature, text, dump, showing.settings, gateway)
                found = asyncio.run(DETECTION(case))
                assert isinstance(found, Scored), found
                records.append(_record(plan, planted, showing, errs, kind, found))
    items = _case(feature, "", dump, showing.settings, None).sample.items
    return records, statistics_of(showing.name, planted, items, perfect)


@contextmanager
def _gateway(client: Looking, dump: Dump, folder: Path) -> Iterator[Gateway]:
    """A real gateway whose endpoint is the judge."""
    renderer = open_renderer(dump)
    try:
        with Cache(folder) as cache:
            yield Gateway(
                client,
                cache,
                Limiter(1),
                Ledger(None, {"looking": None}),
                renderer,
                attempts=1,
                estimate=lambda request: TokenEstimate(1, 1),
            )
    finally:
        renderer.close()


def _case(feature: Feature, text: str, dump: Dump, settings: ScoreSettings, gateway: Gateway | None) -> Case:
    explanation = _explanation(feature, text, dump)
    images = images_of(dump, feature, explanation.seen)
    n = dump.info.n_images
    pool = make_pool(feature, explanation.seen, images, settings, grid=dump.info.patch_grid, n_images=n)
    judge = Judge(ModelSettings(model="looking"), settings, load_prompt("judge", None))
    return Case(feature, explanation, pool, judge, gateway, Population(n), (DETECTION,), Distractors())


def _explanation(feature: Feature, text: str, dump: Dump) -> Explanation:
    """As if it had been written from the images that the explainer is shown by default."""
    shown = draw_shown(feature, images_of(dump, feature), ExplainSettings())
    return Explanation(
        feature=feature.id,
        text=text,
        concepts=(text,),
        none=False,
        model="planted",
        prompt="0" * 12,
        images=tuple(e.image for e in shown.active),
        contrast=tuple(e.image for e in shown.contrast),
        usage=Usage(),
        created="2026-01-01T00:00:00Z",
    )


def _record(plan: Plan, planted: Planted, showing: Showing, errs: Errs, kind: str, found: Scored) -> Record:
    holds = planted.extension(planted.texts[kind])
    judged = np.array([v.image for v in found.verdicts])
    weight, active = np.array([v.weight for v in found.verdicts]), planted.fires[judged].astype(float)
    return Record(
        showing=showing.name,
        judge=errs.name,
        side=plan.world.side,
        placement=plan.world.placement,
        kind=plan.kind,
        rate=plan.rate,
        number=plan.number,
        text=kind,
        score=found.value,
        truth=f1(planted.fires, belief(holds, errs)),
        known=weighted_rates(active, belief(holds, errs)[judged], weight).f1,
        silent_yes=float(np.mean([v.belief == 1 for v in found.verdicts if not v.active])),
    )


def belief(holds: Bools, errs: Errs) -> Floats:
    """What a judge says of pictures on the average."""
    return np.where(holds, 1 - errs.misses, errs.false_yes)


def f1(fires: Bools, said: Floats) -> float:
    """F1 of beliefs over the whole population; 0 where nothing is said to fit."""
    total = float(fires.sum() + said.sum())
    return 2 * float(said[fires].sum()) / total
