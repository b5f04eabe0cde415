"""Our own protocols, run through the package's code from the pool of held-out images to the interval."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure
from autointerp.prompts import Prompt, load_prompt
from autointerp.schema import Feature, Scored
from autointerp.scoring.adaptive_sampling import columns, judge_sample
from autointerp.scoring.case import Case, Population
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Pool, make_pool
from autointerp.scoring.scorers.detection import DETECTION
from autointerp.settings import ModelSettings, ScoreSettings
from autointerp.statistics.rates import Interval, JudgeRates, f1_samples
from autointerp.statistics.resampling import Draws, interval_of, resample
from benchmarks.truth.features import words
from benchmarks.truth.harvest import LARGE, UNIFORM, USUAL, Size, explanation_of, image_rows
from benchmarks.truth.judges import Knowing
from benchmarks.truth.world import GENERIC, Bools, Concept, Floats, World

REPLICATES = 1000


@dataclass(frozen=True)
class Protocol:
    """A way to score, and what it is given."""

    name: str
    size: Size
    settings: ScoreSettings

    def seen(self, judge: Knowing, fires: Bools) -> Floats:
        """Mean belief in each image of the population, were all judged as the protocol judges some; shape [n].

        In two phases a silent image counts where the sheet lets it through and the look at it alone says yes; an active
        one is always looked at alone.
        """
        if self.settings.n_screen:
            return np.where(fires, judge.expected(1), judge.expected_twice(self.settings.screen_per_call))
        return judge.expected(self.settings.per_call)

    @property
    def final_per_call(self) -> int:
        """Images a call of the judgements that count."""
        return 1 if self.settings.n_screen else self.settings.per_call


def settings(**changes: float | int | None) -> ScoreSettings:
    """Ours, with fewer replicates."""
    return ScoreSettings.model_validate({"bootstrap": REPLICATES, **changes})


DEFAULT = Protocol("ours", USUAL, settings())
UNIFORM_SHEETS = Protocol("uniform silent, equal calls", UNIFORM, settings())
ADAPTIVE = Protocol("ours, adaptive to .2", LARGE, settings(interval=0.2, max_calls=100))
TWO_PHASE = Protocol("ours, two-phase", LARGE, settings(n_screen=3300, screen_per_call=64, n_active=24, n_silent=20))
PROTOCOLS = (DEFAULT, UNIFORM_SHEETS, ADAPTIVE, TWO_PHASE)


@lru_cache(maxsize=1)
def _prompt() -> Prompt:
    return load_prompt("judge", None)


@dataclass(frozen=True)
class Trial:
    """A feature's held-out images under a protocol; the same for every explanation, since all saw the same images."""

    protocol: Protocol
    feature: Feature
    pool: Pool
    world: World


def trial_of(protocol: Protocol, feature: Feature, world: World) -> Trial:
    """Holds out what the explainer was not shown."""
    said = explanation_of(feature, GENERIC)
    pool = make_pool(feature, said.seen, image_rows(feature), protocol.settings, grid=None, n_images=len(world))
    return Trial(protocol, feature, pool, world)


def judge_of(protocol: Protocol) -> Judge:
    """The shipped prompt, under a protocol's settings."""
    return Judge(ModelSettings(model="knowing"), protocol.settings, _prompt())


async def score(trial: Trial, concept: Concept, gateway: Gateway) -> Interval:
    """Weighted F1 with its interval, by the functions that the scorer `detection` is made of."""
    protocol = trial.protocol
    said = await judge_sample(words(concept), trial.pool, judge_of(protocol), gateway)
    assert not isinstance(said, Failure), said
    judged = columns(said)
    draws = Draws(protocol.settings.bootstrap, protocol.settings.seed + trial.feature.id)
    drawn = resample(judged, draws)
    return interval_of(f1_samples, judged, drawn)


async def score_corrected(
    trial: Trial, concept: Concept, gateway: Gateway, rates: JudgeRates
) -> tuple[Interval, Interval | None]:
    """The same by the scorer itself, as it is and with the judge's errors taken out (None where that cannot be)."""
    case = Case(
        trial.feature,
        explanation_of(trial.feature, concept),
        trial.pool,
        judge_of(trial.protocol),
        gateway,
        Population(len(trial.world)),
        (DETECTION,),
        Distractors(),
        judge_rates=rates,
    )
    found = await DETECTION(case)
    assert isinstance(found, Scored), found
    told = [found.details.get(name) for name in ("corrected", "corrected_low", "corrected_high")]
    fixed = [float(t) for t in told if t is not None]
    return Interval(found.value, found.low, found.high), Interval(*fixed) if fixed else None
