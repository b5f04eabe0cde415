"""One explanation on trial under a scorer that asks questions of its own, before a judge that goes by a rule."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from trial import ByImage, make_case

from autointerp.lmm.cache import Cache
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.prompts import load_prompt
from autointerp.schema import Explanation, Feature, ImageRow
from autointerp.scoring.case import Outcome
from autointerp.scoring.distractors import Distractors
from autointerp.scoring.scorer_list import SCORERS

Rule = Callable[[Request], Mapping[str, object] | None]


class ByRule(ByImage):
    """Answers each request as the rule has it; None is a refusal that asking again would meet again."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(lambda image: "no")
        self.rule = rule

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        self.requests.append(request)
        async with slot:
            if (said := self.rule(request)) is None:
                raise CallError("http_400", "no", again=False)
            return Completion(json.dumps(said), 100, 10, 0, "stop", None, "judge-2026")


def shown(request: Request) -> list[int]:
    """The images of a request, in order."""
    return [tile.image for picture in request.pictures for tile in picture.tiles]


def outcome_of(
    scorer: str,
    cache: Cache,
    client: ByRule,
    *,
    about: Feature | None = None,
    said: Explanation | None = None,
    settings: Mapping[str, object] | None = None,
    images: Mapping[int, ImageRow] | None = None,
    n_images: int = 1000,
    neighbours: Sequence[str] = (),
    other: str | None = None,
) -> Outcome:
    """What one scorer says; the feature is by default `trial.subject`."""
    case = make_case(
        cache,
        client,
        about=about,
        said=said,
        settings=settings,
        images=images,
        n_images=n_images,
        scorers=(scorer,),
        distractors=Distractors(other, tuple(neighbours)),
    )
    case.judge = replace(case.judge, others={scorer: load_prompt(scorer, None)})

    async def main() -> Outcome:
        return await SCORERS[scorer](case)

    return asyncio.run(main())


def unscored_reason(outcome: Outcome) -> str:
    """Why there is no verdict."""
    assert outcome is not None
    assert not hasattr(outcome, "value"), outcome
    return getattr(outcome, "reason", "")
