"""Asks the judge whether an explanation fits held-out images."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.config import ModelSettings, ScoreSettings
from autointerp.images.picture import Picture
from autointerp.lmm.calls import Answer, Failure
from autointerp.lmm.door import Door
from autointerp.lmm.request import ImagePart, Request
from autointerp.prompts import Prompt, ShownImage, Slot, plain
from autointerp.replies import BELIEF, JudgeReply, judge_reply, reply_schema
from autointerp.schema import Usage, Verdict
from autointerp.scoring.sampling import Item, Sample


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The judge's word on every image of a sample, in its order."""

    all: tuple[Verdict, ...]
    usage: Usage
    model: str


@dataclass(frozen=True)
class Judge:
    """All that judging needs besides the explanation."""

    model: ModelSettings
    settings: ScoreSettings
    prompt: Prompt

    @property
    def digest(self) -> str:
        """First 12 hex digits of the template's digest."""
        return self.prompt.digest[:12]

    def requests(self, text: str, sample: Sample) -> list[Request]:
        """The questions about one explanation."""
        return [self._request(text, items) for items in sample.calls(self.settings.per_call)]

    async def verdicts(self, text: str, sample: Sample, door: Door) -> Verdicts | Failure:
        """Judges all images of the sample, or says why not; the answers that did come stay in the cache.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        calls = sample.calls(self.settings.per_call)
        # A group, unlike gather, takes the other questions back when one finds that none can be answered.
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(door.ask(self._request(text, items), judge_reply(len(items)))) for items in calls
            ]
        answers = [task.result() for task in asked]
        out: list[Verdict] = []
        usage, model = Usage(), self.model.model
        for items, answer in zip(calls, answers, strict=True):
            if isinstance(answer, Failure):
                return answer
            out += _verdicts(items, answer)
            usage, model = usage + answer.usage, answer.model
        return Verdicts(tuple(out), usage, model)

    def _request(self, text: str, items: Sequence[Item]) -> Request:
        n, region = len(items), self.settings.region
        columns = min(self.settings.columns, n)
        pictures: list[ImagePart] = []
        if self.settings.layout == "sheet" and n > 1:
            layout = "sheet"
            sheet = Picture(tuple(i.tile for i in items), region.side, region.quality, columns)
            pictures.append(ImagePart(sheet, "judged", tuple(range(1, n + 1))))
            images = [ShownImage(number=0, level="", slots=(Slot(0, "sheet"),))]
        else:
            layout = "separate"
            for number, item in enumerate(items, 1):
                pictures.append(ImagePart(Picture((item.tile,), region.side, region.quality), "judged", (number,)))
            images = [ShownImage(i + 1, "", (Slot(i, p.picture.tiles[0].rendering),)) for i, p in enumerate(pictures)]
        variables = {
            "explanation": plain(text),
            "n": n,
            "layout": layout,
            "rows": -(-n // columns),
            "columns": columns,
            "images": images,
        }
        return Request(
            model=self.model.model,
            task="judge",
            subject=plain(text),
            messages=self.prompt.fill(variables, pictures),
            reply_schema=reply_schema(judge_reply(n)),
            temperature=self.model.temperature,
            max_tokens=self.model.max_tokens,
            seed=self.model.seed,
        )


def _verdicts(items: Sequence[Item], answer: Answer[JudgeReply]) -> list[Verdict]:
    return [
        Verdict(
            image=item.exemplar.image,
            active=item.active,
            stratum=item.exemplar.stratum,
            belief=BELIEF[fit],
            weight=item.weight,
        )
        for item, fit in zip(items, answer.value.fits(), strict=True)
    ]
