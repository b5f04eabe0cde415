"""One explanation on trial before a scripted judge, without a run or a pixel."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from builders import exemplars, explanation, image_rows
from scripted import NoImages

from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.prompts import load_prompt
from autointerp.schema import Explanation, Feature, FeatureRow, ImageRow, Scored
from autointerp.scoring.case import Case, Outcome, Population
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import make_pool
from autointerp.scoring.scorer_list import SCORERS
from autointerp.settings import ModelSettings, ScoreSettings

TOP, SILENT = range(20), range(100, 140)


class ByImage:
    """Says of each image (and of each explanation) what the test says of it; an error it raises is the call's."""

    def __init__(self, fit: Callable[[int], str] | CallError) -> None:
        self.fit = fit
        self.requests: list[Request] = []

    @property
    def asked(self) -> int:
        return len(self.requests)

    def said_of(self, image: int, text: str) -> str:
        assert not isinstance(self.fit, CallError)
        return self.fit(image)

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        self.requests.append(request)
        async with slot:
            if isinstance(self.fit, CallError):
                raise self.fit
            said = {f"image_{i}": self.said_of(image, request.subject) for i, image in request.images.items()}
            text = json.dumps(said)
            return Completion(text, 100, 10, 0, "stop", None, "judge-2026")


class ByText(ByImage):
    """Says of each image what the test says of it under each explanation."""

    def __init__(self, fit: Callable[[int, str], str]) -> None:
        super().__init__(lambda image: "no")
        self.by_text = fit

    def said_of(self, image: int, text: str) -> str:
        return self.by_text(image, text)


def subject(n_top: int = 20, n_silent: int = 40, *, n_active: int = 100, carriers: int | None = None) -> Feature:
    """Fires on images 0…19 of the top, silent on 100…139 of a uniform draw of 1 %."""
    rows = (*exemplars("top", TOP[:n_top]), *exemplars("silent", SILENT[:n_silent], activation=0, probability=0.01))
    return Feature(FeatureRow(3, 8, n_active, 2.0, carriers, None), rows)


def open_trial_door(cache: Cache, client: ByImage) -> Gateway:
    """A gateway without pixels, limits or budget."""
    return Gateway(
        client,
        cache,
        Limiter(8),
        Ledger(None, {"judge": None, "cheap": None}),
        NoImages(),
        attempts=1,
        estimate=lambda request: TokenEstimate(1, 1),
    )


def make_case(
    cache: Cache,
    client: ByImage,
    *,
    about: Feature | None = None,
    said: Explanation | None = None,
    settings: Mapping[str, object] | None = None,
    images: Mapping[int, ImageRow] | None = None,
    n_images: int = 1000,
    scorers: Sequence[str] = ("detection", "accuracy", "relevance"),
    distractors: Distractors | None = None,
    controlled: bool = False,
    population: Population | None = None,
) -> Case:
    """A trial of 10 active and 30 silent images, eight a call, of 1000 in all, a tenth of them with the attribute."""
    about, said = about or subject(), said or explanation()
    chosen = ScoreSettings.model_validate(
        {"n_active": 10, "n_silent": 30, "per_call": 8, "bootstrap": 200} | dict(settings or {})
    )
    rows = images or image_rows(e.image for e in about.exemplars)
    return Case(
        feature=about,
        explanation=said,
        pool=make_pool(about, said.seen, rows, chosen, grid=None, n_images=n_images),
        judge=Judge(ModelSettings(model="judge"), chosen, load_prompt("judge", None)),
        gateway=open_trial_door(cache, client),
        population=population or Population(n_images, 0.1),
        scorers=tuple(SCORERS[name] for name in scorers),
        distractors=distractors or Distractors(),
        controlled=controlled,
    )


def outcomes(case: Case) -> dict[str, Outcome]:
    """What each scorer of the trial says."""

    async def main() -> dict[str, Outcome]:
        return {scorer.name: await scorer(case) for scorer in case.scorers}

    return asyncio.run(main())


def scored(outcome: Outcome) -> Scored:
    """The outcome, which is a score."""
    assert isinstance(outcome, Scored), outcome
    return outcome
