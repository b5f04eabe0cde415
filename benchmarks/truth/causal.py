"""Causal scores against planted causes: `python -m benchmarks.truth.causal [--write]`.

Pictures whose causes are known (causal_world.py) are harvested by the package's own commands, and scored by the scorer
`causal` from a sample of each latent's images. Truth is what the same network does on every picture of the population
that fires the latent. The table says how near the mean score is to it, and how often the 95 % interval holds it. Some
two minutes of one processor; the same seed gives the same figures.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autointerp.commands.harvest import Harvest
from autointerp.dump.pictures import source_pixels
from autointerp.dump.reader import Dump, open_dump
from autointerp.images.alteration import ERASURES, Alteration, Source, altered, crop, erased
from autointerp.job import images_of
from autointerp.jobs.harvest import run as harvest
from autointerp.lmm.gateway import Gateway
from autointerp.prompts import load_prompt
from autointerp.schema import Explanation, Feature, Scored, Usage
from autointerp.scoring.case import Case, Population
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorers.causal import CAUSAL
from autointerp.settings import ModelName, ModelSettings, RegionSettings, ScoreSettings
from autointerp.tiles import region_box
from autointerp.transcoder.settings import HarvestSettings
from benchmarks.figures import put_between
from benchmarks.truth.causal_world import ABOVE, LATENTS, PlantedNetwork, write_pictures

WORLDS, DRAWS, PICTURES = 10, 4, 400
N_CAUSAL = 16
MEASURES = ("sufficiency", "necessity")
TABLE = Path(__file__).with_name("causal.json")
README = Path(__file__).with_name("README.md")
MARKS = ("<!-- causal -->", "<!-- /causal -->")
REGION = RegionSettings()


@dataclass(frozen=True, slots=True)
class Score:
    """One score beside its truth."""

    latent: str
    measure: str
    truth: float
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low - 1e-9 <= self.truth <= self.high + 1e-9


class PlantedEncoder:
    """Encodes pictures of a dump by the planted network; each is made once."""

    name = "planted"

    def __init__(self, dump: Dump) -> None:
        self._dump, self._network = dump, PlantedNetwork()
        self._known: dict[str, np.ndarray] = {}

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Gives the edges of the whole image."""
        return 0.0, 0.0, float(size[0]), float(size[1])

    async def activations(self, pictures: Sequence[Alteration], feature: int) -> np.ndarray:
        """The latent's maximum over the patches of each picture."""
        return np.array([self.peaks(what)[feature] for what in pictures], np.float64)

    def peaks(self, what: Alteration) -> np.ndarray:
        """All latents' maxima on one picture."""
        if what.digest not in self._known:
            made = self._network.prepare(altered(what, partial(source_pixels, self._dump), max))
            self._known[what.digest] = self._network.run(made[None], ["marks"])["marks"][0].numpy().max(axis=0)
        return self._known[what.digest]


def planted_dump(folder: Path, n: int, seed: int, *, whole: bool) -> Path:
    """Harvests a population of marks; with `whole` the dump holds every picture that fires a latent."""
    images, dump = folder / "images", folder / ("whole" if whole else "dump")
    if not images.exists():
        write_pictures(images, n, seed)
    kept = {"n_top": n} if whole else {"n_top": 16, "n_bands": 4, "n_per_band": 8, "n_reservoir": n}
    usual = {"active_above": ABOVE, "n_silent": 60, "n_guided": 0, "n_pool": 200, "seed": seed}
    settings = HarvestSettings.model_validate(usual | kept)
    harvest(
        Harvest(
            images=str(images),
            dump=dump,
            coders=("raw:marks",),
            backbone=PlantedNetwork(),
            settings=settings,
            batch=64,
            store="bytes",
        )
    )
    return dump


def case_of(dump: Dump, feature: Feature, encoder: PlantedEncoder, seed: int, *, n: int = N_CAUSAL) -> Case:
    """A trial of one latent; nothing was shown to an explainer."""
    settings = ScoreSettings(seed=seed, bootstrap=1000, n_causal=n)
    images = images_of(dump, feature)
    pool = make_pool(feature, (), images, settings, grid=dump.info.patch_grid, n_images=dump.info.n_images)
    judge = Judge(ModelSettings(model=ModelName("none")), settings, load_prompt("judge", None))
    text = Explanation(
        feature=feature.id, text="", concepts=(), none=True, model="", prompt="", images=(), usage=Usage(), created=""
    )
    return Case(
        feature=feature,
        explanation=text,
        pool=pool,
        judge=judge,
        gateway=Gateway.__new__(Gateway),  # nothing is asked
        population=Population(dump.info.n_images),
        scorers=(CAUSAL,),
        distractors=Distractors(),
        encoder=encoder,
    )


def truth_of(dump: Dump, feature: Feature, encoder: PlantedEncoder) -> dict[str, float]:
    """Goes through every picture that fires the latent, one after the other; those whose region is all count not."""
    alone: list[float] = []
    without: list[float] = []
    for exemplar in feature.active:
        image = dump.image(exemplar.image)
        box = region_box(exemplar, image, dump.info.patch_grid, REGION)
        if box is None:
            continue
        source = Source.of(image)
        alone.append(float(encoder.peaks(crop(source, box))[feature.id] > ABOVE))
        silent = [encoder.peaks(erased(source, box, how))[feature.id] <= ABOVE for how in ERASURES]
        without.append(float(np.mean(silent)))
    return {"sufficiency": float(np.mean(alone)), "necessity": float(np.mean(without))}


def scores(worlds: int, draws: int, n: int) -> Iterator[Score]:
    """Scores each latent of some populations, several times with other images."""
    for seed in range(worlds):
        with tempfile.TemporaryDirectory() as folder:
            paths = [planted_dump(Path(folder), n, seed, whole=whole) for whole in (True, False)]
            with open_dump(paths[0]) as whole, open_dump(paths[1]) as dump:
                encoder, exact = PlantedEncoder(dump), PlantedEncoder(whole)
                for feature in dump.features():
                    truth = truth_of(whole, whole.feature(feature.id), exact)
                    for draw in range(draws):
                        found = asyncio.run(CAUSAL(case_of(dump, feature, encoder, draw)))
                        yield from _beside(LATENTS[feature.id], truth, found)


def _beside(latent: str, truth: dict[str, float], found: object) -> Iterator[Score]:
    assert isinstance(found, Scored), found
    yield Score(latent, "sufficiency", truth["sufficiency"], found.value, found.low, found.high)
    value, low, high = (found.number(f"necessity{end}") for end in ("", "_low", "_high"))
    assert value is not None
    assert low is not None
    assert high is not None
    yield Score(latent, "necessity", truth["necessity"], value, low, high)


def summary(found: Sequence[Score]) -> list[dict[str, object]]:
    """One row for each latent and measure."""
    rows: list[dict[str, object]] = []
    for latent in LATENTS:
        for measure in MEASURES:
            own = [s for s in found if (s.latent, s.measure) == (latent, measure)]
            rows.append(
                {
                    "latent": latent,
                    "measure": measure,
                    "truth": round(float(np.mean([s.truth for s in own])), 3),
                    "mean": round(float(np.mean([s.value for s in own])), 3),
                    "error": round(float(np.mean([abs(s.value - s.truth) for s in own])), 3),
                    "width": round(float(np.mean([s.high - s.low for s in own])), 3),
                    "holds": round(float(np.mean([s.holds for s in own])), 3),
                    "n": len(own),
                }
            )
    return rows


def table(rows: Sequence[dict[str, object]]) -> str:
    """Writes the rows as a table in Markdown."""
    heads = ("latent", "measure", "truth", "mean", "error", "width", "holds", "n")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[h]) for h in heads)} |" for row in rows)])


def main() -> None:
    """Prints the table, and writes it with `--write`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write causal.json and the table in README.md")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    options = parser.parse_args()
    rows = summary(list(scores(options.worlds, DRAWS, PICTURES)))
    print(table(rows))
    if options.write:
        TABLE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        put_between(README, table(rows), MARKS)


if __name__ == "__main__":
    main()
