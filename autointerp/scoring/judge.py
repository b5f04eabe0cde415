"""Asks the judge whether an explanation fits held-out images."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autointerp.images.picture import Picture
from autointerp.images.render import snug_side
from autointerp.lmm.calls import Answer, Failure
from autointerp.lmm.door import Door
from autointerp.lmm.request import ImagePart, Request, Task
from autointerp.prompts import Prompt, ShownImage, Slot, Value, joint_digest, plain
from autointerp.replies import BELIEF, JudgeReply, Reply, judge_reply, reply_schema
from autointerp.schema import Usage, Verdict
from autointerp.scoring.sampling import Item, Sample
from autointerp.settings import ModelSettings, ScoreSettings

SETTLED = frozenset(("refused", "malformed", "image", "http_400", "http_413", "http_422"))
"""Failures that asking the same again would meet again; the judgement counts as unanswered."""


@dataclass(frozen=True, slots=True)
class Look:
    """How images are put before the judge."""

    layout: str
    """`sheet` or `separate`."""
    per_call: int
    columns: int
    side: int
    """Longest side of an image, pixels."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The judge's word on some images, in their order."""

    all: tuple[float | None, ...]
    """None where no usable answer came."""
    usage: Usage
    model: str
    gaps: tuple[Failure, ...] = ()
    """Why answers are missing."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The judge's word on every image of a sample, in its order."""

    all: tuple[Verdict, ...]
    usage: Usage
    model: str
    gaps: tuple[Failure, ...] = ()
    """Why answers are missing."""
    items: tuple[Item, ...] = ()
    """What was judged, in the same order."""
    looked: Mapping[tuple[str, float | None], int] = field(default_factory=dict)
    """Where images were screened first: how many of a stratum got that belief then."""


@dataclass(frozen=True)
class Judge:
    """All that judging needs besides the explanation."""

    model: ModelSettings
    settings: ScoreSettings
    prompt: Prompt
    """Of plain judging."""
    others: Mapping[str, Prompt] = field(default_factory=dict)
    """Of the other tasks, by name."""

    @property
    def digest(self) -> str:
        """First 12 hex digits of the judging template's digest."""
        return self.prompt.digest[:12]

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All templates."""
        return (self.prompt, *self.others.values())

    def digest_of(self, task: str) -> str:
        """The same of another task's template."""
        return self.others[task].digest[:12] if task in self.others else joint_digest([])

    @property
    def screener(self) -> "Judge":
        """Who looks at the sheets of a screening: a cheaper model where one is named, asked in the same way."""
        if self.settings.screen_model is None:
            return self
        return replace(self, model=self.model.of(self.settings.screen_model))

    @property
    def look(self) -> Look:
        """The usual one."""
        s = self.settings
        return Look(s.layout, s.per_call, s.columns, s.region.side)

    def look_again(self, said: "Verdicts") -> Look:
        """For further texts on images that one was judged on: one by one where that was screened first."""
        return replace(self.look, per_call=1) if said.looked else self.look

    def requests(self, text: str, sample: Sample) -> list[Request]:
        """The questions about one explanation, in one round."""
        return [self._request(text, items, self.look) for items in sample.calls(self.settings.per_call)]

    async def verdicts(self, text: str, sample: Sample, door: Door) -> Verdicts | Failure:
        """Judges all images of the sample in one round, or says why not; answers that did come stay in the cache.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        said = await self.beliefs(text, sample.items, door, self.look)
        if isinstance(said, Failure):
            return said
        told = tuple(verdict_of(i, b) for i, b in zip(sample.items, said.all, strict=True))
        return Verdicts(told, said.usage, said.model, said.gaps, sample.items)

    async def beliefs(self, text: str, items: Sequence[Item], door: Door, look: Look) -> Beliefs | Failure:
        """Whether the text fits each of the items; a failure that may pass is returned instead.

        A call that settles in a failure (a refusal, a broken image) is asked again in halves, so that one image does
        not cost the others theirs; where not even a quarter of it is answered, its images stay unanswered.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        calls = Sample(tuple(items)).calls(look.per_call)
        # A group, unlike gather, takes the other questions back when one finds that none can be answered.
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._settled(text, own, door, look)) for own in calls]
        return joined([task.result() for task in asked], self.model.model)

    async def _settled(self, text: str, items: Sequence[Item], door: Door, look: Look) -> Beliefs | Failure:
        said = await self._once(text, items, door, look)
        return await self._split(text, items, said, door, look) if _gap(said) else said

    async def _split(
        self, text: str, items: Sequence[Item], said: Beliefs | Failure, door: Door, look: Look
    ) -> Beliefs | Failure:
        """What the parts of an unanswered call are answered; the call's own gap where no quarter is."""
        parts: list[Sequence[Item]] = [items]
        for _ in range(2):
            parts = [half for own in parts for half in _halves(own)]
            if len(parts) == 1:
                return said
            told = [await self._once(text, own, door, look) for own in parts]
            if not all(_gap(t) for t in told):
                for i, own in enumerate(parts):
                    if _gap(told[i]) and len(own) > 1:
                        told[i] = await self._split(text, own, told[i], door, look)
                return joined(told, self.model.model)
        return said

    async def _once(self, text: str, items: Sequence[Item], door: Door, look: Look) -> Beliefs | Failure:
        answer = await door.ask(self._request(text, items, look), judge_reply(len(items)))
        if isinstance(answer, Failure):
            if answer.kind not in SETTLED:
                return answer
            return Beliefs((None,) * len(items), Usage(), self.model.model, (answer,))
        return Beliefs(_beliefs(answer), answer.usage, answer.model)

    def _request(self, text: str, items: Sequence[Item], look: Look) -> Request:
        n, quality = len(items), self.settings.region.quality
        columns = min(look.columns, n)
        pictures: list[ImagePart] = []
        if look.layout == "sheet" and n > 1:
            layout = "sheet"
            tiles = tuple(i.tile for i in items)
            sheet = Picture(tiles, snug_side(tiles, look.side), quality, columns)
            pictures.append(ImagePart(sheet, "judged", tuple(range(1, n + 1))))
            images = [ShownImage(number=0, level="", slots=(Slot(0, "sheet"),))]
        else:
            layout = "separate"
            for number, item in enumerate(items, 1):
                pictures.append(ImagePart(Picture((item.tile,), look.side, quality), "judged", (number,)))
            images = [ShownImage(i + 1, "", (Slot(i, p.picture.tiles[0].rendering),)) for i, p in enumerate(pictures)]
        variables: dict[str, Value] = {
            "explanation": plain(text),
            "n": n,
            "layout": layout,
            "rows": -(-n // columns),
            "columns": columns,
            "images": images,
        }
        return self.question("judge", plain(text), self.prompt, variables, pictures, judge_reply(n))

    def question(
        self,
        task: Task,
        subject: str,
        prompt: Prompt,
        variables: Mapping[str, Value],
        pictures: Sequence[ImagePart],
        reply: type[Reply],
    ) -> Request:
        """A request to the judge: a template filled with variables and pictures."""
        return Request(
            model=self.model.model,
            task=task,
            subject=subject,
            messages=prompt.fill(variables, pictures),
            reply_schema=reply_schema(reply),
            temperature=self.model.temperature,
            max_tokens=self.model.max_tokens,
            seed=self.model.seed,
            detail=self.model.detail,
        )


def verdict_of(item: Item, belief: float | None, screened: float | None = None) -> Verdict:
    """The record of one judgement."""
    return Verdict(
        image=item.exemplar.image,
        active=item.active,
        stratum=item.exemplar.stratum,
        activation=item.exemplar.activation,
        screened=screened,
        belief=belief,
        weight=item.weight,
    )


def joined(parts: Sequence[Beliefs | Failure], model: str) -> Beliefs | Failure:
    """Several answers as one; a failure among them stands for all."""
    out = Beliefs((), Usage(), model)
    for part in parts:
        if isinstance(part, Failure):
            return part
        out = replace(
            out,
            all=out.all + part.all,
            usage=out.usage + part.usage,
            model=part.model if part.usage.calls else out.model,
            gaps=out.gaps + part.gaps,
        )
    return out


def _halves(items: Sequence[Item]) -> list[Sequence[Item]]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]] if middle else [items]


def _gap(said: Beliefs | Failure) -> bool:
    return isinstance(said, Beliefs) and bool(said.all) and all(b is None for b in said.all)


def _beliefs(answer: Answer[JudgeReply]) -> tuple[float, ...]:
    return tuple(BELIEF[fit] for fit in answer.value.fits())
