"""Asks the judge whether an explanation fits held-out images."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from autointerp.images.picture import Picture, Tile
from autointerp.images.render import snug_side
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import Failure
from autointerp.lmm.request import ImagePart, Request, Role
from autointerp.lmm.task import Task
from autointerp.prompts import Prompt, ShownImage, Slot, Value, plain
from autointerp.replies import BELIEF, JudgeReply, Reply, judge_reply, reply_schema
from autointerp.schema import Usage, Verdict
from autointerp.scoring.sampling import Cell, Item, calls
from autointerp.settings import ModelSettings, ScoreSettings

SETTLED = frozenset(("refused", "malformed", "image", "http_400", "http_413", "http_422"))
"""Failures that the same question would meet again; its judgements count as unanswered."""
PICTURE = "image"
"""The kind of a failure for want of a picture, which costs no call."""
OF_AN_IMAGE = frozenset(("refused", PICTURE))
"""Those of them for which a single image is to blame."""


def _locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model's word on each image."""
    views = model.numbered("judged")
    fits = model.fits(request.subject, views.values())
    return {f"image_{n}": fit for n, fit in zip(views, fits, strict=True)}


# A verdict such as `"image_12": "unsure",` has nine tokens.
JUDGE = Task("judge", JudgeReply, tokens=10, tokens_per_image=9, local=LocalAnswerer(_locally))


@dataclass(frozen=True, slots=True)
class Look:
    """How images are put before the judge."""

    layout: str
    """`sheet` or `separate`."""
    per_call: int
    """The most images in one call."""
    columns: int
    """The most columns of a sheet."""
    side: int
    """The longest side of an image, in pixels."""
    fill: bool = True
    """Whether smaller images are enlarged to their cells of a sheet, which costs no token."""


@dataclass(frozen=True, slots=True)
class Board:
    """Several images as a question shows them."""

    pictures: tuple[ImagePart, ...]
    variables: dict[str, Value]
    """The variables of a template that describe the images: n, layout, rows, columns and images."""


def board(
    tiles: Sequence[Tile],
    look: Look,
    quality: int,
    role: Role,
    *,
    even: bool = True,
    enlarged: Sequence[Tile] = (),
) -> Board:
    """Puts tiles, numbered from 1, on one sheet or each in a picture of its own.

    Args:
        tiles: what is shown, in order.
        look: the layout, the most columns, and the side of a tile.
        quality: the quality of the JPEG, 1 to 95.
        role: what the prompt says of the images.
        even: whether the rows of a sheet are as equally long as they can be; else each row but the last is full.
        enlarged: a part of each image, shown right after it under its number; none of any where it is empty.
    """
    cells = [(tile,) for tile in tiles] if not enlarged else list(zip(tiles, enlarged, strict=True))
    n, per_number = len(cells), len(cells[0])
    most = max(1, look.columns // per_number)
    rows = -(-n // most)
    columns = -(-n // rows) if even else min(most, n)
    sheet = look.layout == "sheet" and n > 1
    variables: dict[str, Value] = {"n": n, "layout": "sheet" if sheet else "separate", "rows": rows, "columns": columns}
    if sheet:
        return Board(
            (_sheet(cells, look, quality, columns, role),),
            variables | {"images": [ShownImage(0, "", (Slot(0, "sheet"),))]},
        )
    pictures, images = [], []
    for number, cell in enumerate(cells, 1):
        slots = tuple(Slot(len(pictures) + i, tile.rendering) for i, tile in enumerate(cell))
        images.append(ShownImage(number, "", slots))
        pictures += [ImagePart(Picture((tile,), look.side, quality), role, (number,)) for tile in cell]
    return Board(tuple(pictures), variables | {"images": images})


def _sheet(cells: Sequence[Sequence[Tile]], look: Look, quality: int, columns: int, role: Role) -> ImagePart:
    """One picture of all images; the tiles of each stand side by side under one number."""
    tiles, per_number = tuple(tile for cell in cells for tile in cell), len(cells[0])
    side = snug_side(tiles, look.side)
    picture = Picture(tiles, side, quality, columns * per_number, per_number, side if look.fill else 0)
    return ImagePart(picture, role, tuple(n for n, cell in enumerate(cells, 1) for _ in cell))


@dataclass(frozen=True, slots=True)
class Judgements:
    """The judge's word on some images, in their order."""

    items: tuple[Item, ...]
    beliefs: tuple[float | None, ...]
    """0 no, 0.5 unsure, 1 yes; None where no usable answer came."""
    usage: Usage
    model: str
    gaps: tuple[Failure, ...] = ()
    """The failures that left judgements unanswered."""
    looked: Mapping[Cell, int] = field(default_factory=dict)
    """Where the images were drawn from cells of more: how many each cell has; empty where there are no such cells."""

    @property
    def screened(self) -> bool:
        """Whether images were screened first, and these chosen by what was said of them then."""
        return any(i.screened is not None for i in self.items)

    @property
    def without_margin(self) -> "Judgements":
        """The judgements of the images that count as active or as silent, with their weights as they are."""
        kept = [(i, b) for i, b in zip(self.items, self.beliefs, strict=True) if not i.margin]
        return replace(self, items=tuple(i for i, _ in kept), beliefs=tuple(b for _, b in kept))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Returns the judgements as records."""
        return tuple(
            Verdict(
                image=item.exemplar.image,
                active=item.active,
                stratum=item.stratum,
                activation=item.exemplar.activation,
                screened=item.screened,
                likeness=item.likeness,
                belief=belief,
                weight=item.weight,
            )
            for item, belief in zip(self.items, self.beliefs, strict=True)
        )

    @property
    def refused(self) -> frozenset[int]:
        """The ids of the images that got no usable answer."""
        return frozenset(i.exemplar.image for i, b in zip(self.items, self.beliefs, strict=True) if b is None)

    @property
    def mute(self) -> Failure | None:
        """Why no image of a side (active or silent) got an answer; None where both sides have some."""
        for active in (True, False):
            own = [b for item, b in zip(self.items, self.beliefs, strict=True) if item.active == active]
            if own and all(b is None for b in own):
                return self.gaps[0]
        return None


@dataclass(frozen=True)
class Judge:
    """All that judging needs besides the explanation."""

    model: ModelSettings
    settings: ScoreSettings
    prompt: Prompt
    """The template of plain judging."""
    others: Mapping[str, Prompt] = field(default_factory=dict)
    """The templates of the other tasks, by the task's name."""

    @property
    def digest(self) -> str:
        """The first 12 hex digits of the judging template's digest."""
        return self.prompt.digest[:12]

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Returns all templates that are used."""
        return (self.prompt, *self.others.values())

    @property
    def screener(self) -> "Judge":
        """The judge of a screening: a cheaper model where one is named, asked in the same way."""
        if self.settings.screen_model is None:
            return self
        return replace(self, model=self.model.of(self.settings.screen_model))

    @property
    def look(self) -> Look:
        """How images are usually put before the judge."""
        s = self.settings
        return Look(s.layout, s.per_call, s.columns, s.region.side, s.region.enlarge > 0)

    def look_again(self, said: Judgements) -> Look:
        """How images that were judged are shown for further texts: one by one where they were screened first."""
        return replace(self.look, per_call=1) if said.screened else self.look

    def requests(self, text: str, items: Sequence[Item]) -> list[Request]:
        """The questions about one explanation."""
        return [self._request(text, own, self.look) for own in calls(items, self.settings.per_call)]

    async def judgements(
        self,
        text: str,
        items: Sequence[Item],
        gateway: Gateway,
        look: Look | None = None,
        *,
        refused: Collection[int] = (),
    ) -> Judgements | Failure:
        """Asks whether a text fits each of the items; a failure that may pass is returned instead.

        Answers that did come stay in the cache. Of a call that settles in a failure (a refusal, a broken image) parts
        are asked about, as `_narrowed` says, so that one image does not cost the others their answers.

        Args:
            text: the explanation.
            items: the images, in the order in which they are put on sheets.
            gateway: who is asked.
            look: how they are shown; by default as usual.
            refused: ids of images that the judge refused under another text; they are not asked about again.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        look = look or self.look
        groups = [[i for i in own if i.exemplar.image not in refused] for own in calls(items, look.per_call)]
        first = await _together([self._once(text, own, gateway, look) for own in groups if own])
        mute = all(_unanswered(said) for said in first)
        narrowed = await _together([self._narrowed(text, said, gateway, look, mute=mute) for said in first])
        said = self._joined(narrowed)
        if isinstance(said, Failure):
            return said
        known = {i.exemplar.image: belief for i, belief in zip(said.items, said.beliefs, strict=True)}
        return replace(said, items=tuple(items), beliefs=tuple(known.get(i.exemplar.image) for i in items))

    async def _narrowed(
        self, text: str, said: Judgements | Failure, gateway: Gateway, look: Look, *, mute: bool
    ) -> Judgements | Failure:
        """Narrows a call without an answer down to the images that it failed for; these stay unanswered.

        This is group testing by halves (Sobel & Groll 1959), with the largest part first. It ends when about half as
        many further calls were made as the call has images. Where no call about the text was answered (`mute`), the
        judge refuses the text rather than an image: after two halves without an answer nothing more is asked.
        """
        if not _unanswered(said):
            return said
        parts, left = [said], -(-len(said.items) // 2)
        while left > 0 and not (mute and len(parts) > 1 and all(_unanswered(p) for p in parts)):
            largest = max((p for p in parts if _unanswered(p)), key=lambda p: len(p.items))
            if len(largest.items) < 2:
                break
            of_an_image = largest is not said and said.gaps[0].kind in OF_AN_IMAGE
            halves = await self._halved(text, largest, gateway, look, of_an_image=of_an_image)
            if isinstance(halves, Failure):
                return halves
            parts = [p for p in parts if p is not largest] + [half for half, _ in halves]
            left -= sum(asked for _, asked in halves)
            if not any(_unanswered(p) for p in parts):
                break
        joined = self._joined(parts)
        gaps = said.gaps if any(_unanswered(p) for p in parts) else ()
        return replace(joined, gaps=gaps) if isinstance(joined, Judgements) else joined

    async def _halved(
        self, text: str, said: Judgements, gateway: Gateway, look: Look, *, of_an_image: bool
    ) -> list[tuple[Judgements, bool]] | Failure:
        """Asks about the halves of a call that fails, the second only where it may be answered; says which were sent.

        If an image is to blame (`of_an_image`) and the first half is answered, the second half holds that image. A
        whole call may also fail by chance, so that both of its halves are asked about, in one round of a batch job.
        """
        middle = -(-len(said.items) // 2)
        first, second = said.items[:middle], said.items[middle:]
        told = await _together([self._once(text, own, gateway, look) for own in (first, second)[: 2 - of_an_image]])
        if of_an_image and isinstance(told[0], Judgements):
            unasked = replace(said, items=second, beliefs=(None,) * len(second))
            if not _unanswered(told[0]):
                return [(told[0], True), (unasked, False)]
            told.append(await self._once(text, second, gateway, look))
        out: list[tuple[Judgements, bool]] = []
        for half in told:
            if isinstance(half, Failure):
                return half
            out.append((half, not _unanswered(half) or half.gaps[0].kind != PICTURE))
        return out

    async def _once(self, text: str, items: Sequence[Item], gateway: Gateway, look: Look) -> Judgements | Failure:
        answer = await gateway.ask(self._request(text, items, look), judge_reply(len(items)))
        if not isinstance(answer, Failure):
            beliefs = tuple(BELIEF[fit] for fit in answer.value.fits())
            return Judgements(tuple(items), beliefs, answer.usage, answer.model)
        if answer.kind not in SETTLED:
            return answer
        return Judgements(tuple(items), (None,) * len(items), Usage(), self.model.model, (answer,))

    def _joined(self, parts: Sequence[Judgements | Failure]) -> Judgements | Failure:
        """Several answers as one; a failure among them stands for all."""
        out = Judgements((), (), Usage(), self.model.model)
        for part in parts:
            if isinstance(part, Failure):
                return part
            out = Judgements(
                out.items + part.items,
                out.beliefs + part.beliefs,
                out.usage + part.usage,
                part.model if part.usage.calls else out.model,
                out.gaps + part.gaps,
            )
        return out

    def _request(self, text: str, items: Sequence[Item], look: Look) -> Request:
        text = plain(text)
        enlarged = [i.enlarged for i in items if i.enlarged is not None]
        quality = self.settings.region.quality
        shown = board([i.tile for i in items], look, quality, "judged", even=False, enlarged=enlarged)
        variables = {"explanation": text, "rendering": self.settings.rendering}
        return self.question(JUDGE, text, shown, judge_reply(len(items)), variables)

    def question(
        self, task: Task, subject: str, shown: Board, reply: type[Reply], variables: Mapping[str, Value]
    ) -> Request:
        """A question to the judge about some images.

        Args:
            task: what is asked; its template is filled.
            subject: the text in question, as `Request.subject`.
            shown: the images, with the variables that describe them.
            reply: the type of the reply.
            variables: the further variables of the template.
        """
        prompt = self.prompt if task is JUDGE else self.others[task.name]
        return Request(
            model=self.model.model,
            task=task.name,
            subject=subject,
            messages=prompt.fill(shown.variables | dict(variables), shown.pictures),
            reply_schema=reply_schema(reply),
            temperature=self.model.temperature,
            max_tokens=self.model.max_tokens,
            seed=self.model.seed,
            detail=self.model.detail,
        )


async def _together(asked: Sequence[Coroutine[None, None, Judgements | Failure]]) -> list[Judgements | Failure]:
    """Asks at once; unlike gather, a group takes the other questions back when one finds that none can be answered."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in asked]
    return [task.result() for task in tasks]


def _unanswered(said: Judgements | Failure) -> TypeGuard[Judgements]:
    return isinstance(said, Judgements) and bool(said.items) and all(b is None for b in said.beliefs)
