"""Feature → Explanation: what the explainer is shown and asked, and what becomes of its reply."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from autointerp.clock import now
from autointerp.evidence import Images, Shown, draw_shown
from autointerp.images.picture import Picture, Rendering, Tile
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.local.model import LocalAnswerer, LocalModel
from autointerp.lmm.outcomes import DEFERRED, Answer, Failure, failed
from autointerp.lmm.request import ImagePart, Request, Role, TextPart
from autointerp.lmm.task import Task
from autointerp.prompts import Prompt, ShownImage, Slot, Value, joint_digest, plain
from autointerp.replies import DomainReply, ExplainReply, reply_schema
from autointerp.schema import Box, Counterfactual, DomainFinding, Exemplar, Explanation, FailureRecord, Feature, Usage
from autointerp.settings import ExplainSettings, ModelSettings
from autointerp.tiles import shown_tiles, tile_without
from autointerp.unexplainable import NEVER_FIRED, NO_IMAGES, TOO_FEW, UNEXPLAINABLE


def _explain_locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model reads from the words of the request only which images fire weakly."""
    texts = (part.text for message in request.messages for part in message.parts if isinstance(part, TextPart))
    weak = {int(number) for text in texts for number in re.findall(r"Active image (\d+) \(weaker\)", text)}
    active, silent = model.numbered("active"), model.numbered("silent")
    numbers = list(active)
    reply = model.explained(list(active.values()), list(silent.values()), [number in weak for number in numbers])
    return reply.model_copy(update={"misfits": [numbers[i - 1] for i in reply.misfits]}).model_dump()


def _find_nothing_locally(request: Request, model: LocalModel) -> Mapping[str, object]:
    """The embedded model claims no error."""
    said = "The embedded model recognises objects and simple looks; it cannot tell errors of this kind."
    return {"observations": said, "found": False, "error": "", "category": "none", "images": []}


AUTO = "auto"
"""The rendering that hangs on whether a crop alone fires the feature."""
ERASED, EDITED = "erased", "edited"
"""The contrasts that are made of active images: by taking a region away, and by having it painted anew."""
EXPLAIN = Task("explain", ExplainReply, tokens=220, local=LocalAnswerer(_explain_locally))
DOMAIN = Task("domain", DomainReply, tokens=160, local=LocalAnswerer(_find_nothing_locally))


def asks_network(settings: ExplainSettings) -> str | None:
    """Names the option for which the network that made the dump is asked; None where it is not."""
    if settings.steer is not None:
        return "--steer"
    if AUTO in settings.renderings:
        return f"--rendering {AUTO}"
    return None if settings.contrast_kind == "silent" else f"--contrast-kind {settings.contrast_kind}"


class Explained(NamedTuple):
    """What became of a feature."""

    record: Explanation | FailureRecord
    gaps: tuple[FailureRecord, ...] = ()
    """Questions that settled in a failure though the feature is explained."""


@dataclass(frozen=True)
class Explainer:
    """All that explaining needs besides the feature."""

    model: ModelSettings
    settings: ExplainSettings
    prompt: Prompt
    domain: Prompt | None
    """The second pass's template."""
    grid: tuple[int, int] | None
    """Rows and columns of the dump's heat maps."""
    active_above: float = 0.0
    """The dump's threshold, raw units."""
    sufficing: frozenset[int] = frozenset()
    """With the rendering `auto`: the images that are shown as crops, since these fire the feature by themselves."""
    counterfactuals: tuple[Counterfactual, ...] = ()
    """With the contrast `erased` or `edited`: the images that are shown without a region too."""
    edit: Prompt | None = None
    """With the contrast `edited`: the template of what an image model is told."""
    painted: Mapping[str, Path] = field(default_factory=dict)
    """There, the files of the pictures, by their digests."""
    painting: Usage = field(default_factory=Usage)
    """There, what painting took."""

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The templates used, in order."""
        return tuple(prompt for prompt in (self.prompt, self.domain, self.edit) if prompt is not None)

    @property
    def digest(self) -> str:
        """Returns a digest of all templates that are used."""
        return joint_digest(self.prompts)

    def requests(self, feature: Feature, images: Images) -> tuple[Request, ...]:
        """The questions for one feature, all independent of each other's answers."""
        shown = self.draw(feature, images)
        return (self.first(shown, images), *self.passes(shown, images)) if shown.active else ()

    def draw(self, feature: Feature, images: Images) -> Shown:
        """What is shown: an image without its region stands in the place of a silent one."""
        shown = draw_shown(feature, images, self.settings)
        if not self.counterfactuals:
            return shown
        known = {pair.image: pair for pair in self.counterfactuals}
        pairs = tuple(known[e.image] for e in shown.active if e.image in known)
        left = max(0, self.settings.n_contrast - len(pairs))
        return Shown(active=shown.active, contrast=shown.contrast[:left], pairs=pairs)

    def first(self, shown: Shown, images: Images, parents: Sequence[str] = ()) -> Request:
        """The question what the images that fire have in common.

        Args:
            shown: what is shown, at least one active image.
            images: rows of its images.
            parents: explanations of broader features that fire on them too.
        """
        return self._request(EXPLAIN, "", self.prompt, shown, images, parents)

    def passes(self, shown: Shown, images: Images) -> tuple[Request, ...]:
        """The second pass, where there is one."""
        return () if self.domain is None else (self._second_pass(self.domain, shown.active, images),)

    def _second_pass(self, domain: Prompt, active: tuple[Exemplar, ...], images: Images) -> Request:
        # A fresh question: it does not see the first answer, nor the silent images.
        alone = Shown(active=active, contrast=())
        return self._request(DOMAIN, self.settings.domain or "", domain, alone, images)

    async def explain(
        self,
        feature: Feature,
        images: Images,
        gateway: Gateway,
        shuffled: tuple[Exemplar, ...] = (),
        parents: Mapping[int, str] = MappingProxyType({}),
    ) -> Explanation | FailureRecord:
        """Asks, and makes the record.

        Args:
            feature: with its evidence.
            images: rows of its images, and of those of `shuffled`.
            gateway: the way to the explainer.
            shuffled: images of other features, of which the second pass is asked too; empty for no such control.
            parents: explanations of broader features that fire on its images too, by id: the question is then what is
                special here.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        shown = self.draw(feature, images)
        if not shown.active:
            return failed(feature.id, "explain", Failure(UNEXPLAINABLE, nothing_to_show(feature), 0))
        answer = await gateway.ask(self.first(shown, images, tuple(parents.values())), ExplainReply)
        if isinstance(answer, Failure):
            if answer.kind == DEFERRED:
                await self.ask_ahead(shown, images, gateway, shuffled)
            return failed(feature.id, "explain", answer)
        return await self.complete(feature, shown, images, gateway, answer, shuffled, tuple(parents))

    async def ask_ahead(self, shown: Shown, images: Images, gateway: Gateway, shuffled: tuple[Exemplar, ...]) -> None:
        """Puts the second passes into a batch: they wait for nothing, and asked for now they spare a day."""
        for _, request, _ in self._second_passes(shown, images, shuffled):
            await gateway.ask(request, DomainReply)

    async def complete(
        self,
        feature: Feature,
        shown: Shown,
        images: Images,
        gateway: Gateway,
        answer: Answer[ExplainReply],
        shuffled: tuple[Exemplar, ...] = (),
        parents: tuple[int, ...] = (),
    ) -> Explanation | FailureRecord:
        """Asks the second passes and makes the record of a first answer.

        Args:
            feature: with its evidence.
            shown: what the answer is about.
            images: as for `explain`.
            gateway: as for `explain`.
            answer: to the first question.
            shuffled: as for `explain`.
            parents: ids of the broader features that the first question told of.

        Raises:
            EndpointError: no request of this run can succeed.
        """
        usage = answer.usage
        found: dict[str, DomainFinding] = {}
        for stage, request, active in self._second_passes(shown, images, shuffled):
            second = await gateway.ask(request, DomainReply)
            if isinstance(second, Failure):
                return failed(feature.id, f"explain:{stage}", second)
            found[stage] = _finding(second.value, self.settings.domain or "", active)
            usage += second.usage
        return self._record(feature, shown, answer.value, answer.model, found, usage, parents)

    def _second_passes(
        self, shown: Shown, images: Images, shuffled: tuple[Exemplar, ...]
    ) -> Iterator[tuple[str, Request, tuple[Exemplar, ...]]]:
        """Stage, question and images: of the feature, and of the shuffled set where there is one."""
        for request in self.passes(shown, images):
            yield "domain", request, shown.active
        if self.domain is not None and shuffled:
            yield "shuffled", self._second_pass(self.domain, shuffled, images), shuffled

    def _request(
        self,
        task: Task,
        subject: str,
        prompt: Prompt,
        shown: Shown,
        images: Images,
        parents: Sequence[str] = (),
    ) -> Request:
        pictures: list[ImagePart] = []
        without = {pair.image: self._without(i, pair, images, pictures) for i, pair in enumerate(shown.pairs, 1)}
        active = [
            replace(self._shown(i, e, images, "active", pictures), without=without.get(e.image))
            for i, e in enumerate(shown.active, 1)
        ]
        first = len(without) + 1
        contrast = [self._shown(i, e, images, "silent", pictures) for i, e in enumerate(shown.contrast, first)]
        variables: dict[str, Value] = {"active": active, "levels": self.settings.levels}
        if task is EXPLAIN:
            variables |= {"contrast": contrast, "parents": [plain(text) for text in parents]}
        else:
            variables |= {"name": subject}
        return Request(
            model=self.model.model,
            task=task.name,
            subject=subject,
            messages=prompt.fill(variables, pictures),
            reply_schema=reply_schema(task.reply),
            temperature=self.model.temperature,
            max_tokens=self.model.max_tokens,
            seed=self.model.seed,
            detail=self.model.detail,
        )

    def _shown(
        self, number: int, exemplar: Exemplar, images: Images, role: Role, pictures: list[ImagePart]
    ) -> ShownImage:
        image, region = images[exemplar.image], self.settings.region
        renderings = self._renderings(exemplar) if role == "active" else ("full",)
        slots: list[Slot] = []
        for tile in shown_tiles(exemplar, image, renderings, self.grid, region):
            slots.append(Slot(len(pictures), tile.rendering))
            pictures.append(self._part(tile, role, number))
        level = self._level(exemplar) if role == "active" else self._silent_level(exemplar)
        return ShownImage(number=number, level=level, slots=tuple(slots))

    def _without(self, number: int, pair: Counterfactual, images: Images, pictures: list[ImagePart]) -> ShownImage:
        image = images[pair.image]
        if pair.how == EDITED:
            slot, tile = Slot(len(pictures), EDITED), self._painted(pair)
        else:
            slot, tile = Slot(len(pictures), ERASED), tile_without(image, Box(*pair.box), pair.how)
        pictures.append(self._part(tile, "silent", number))
        return ShownImage(number=number, level="", slots=(slot,))

    def _painted(self, pair: Counterfactual) -> Tile:
        assert pair.picture is not None
        assert pair.size is not None
        return Tile(pair.image, pair.picture, pair.size, "full", None, file=self.painted[pair.picture])

    def _part(self, tile: Tile, role: Role, number: int) -> ImagePart:
        region = self.settings.region
        least = min(region.enlarge, region.side)
        picture = Picture(tiles=(tile,), side=region.side, quality=region.quality, least=least)
        return ImagePart(picture=picture, role=role, numbers=(number,))

    def _renderings(self, exemplar: Exemplar) -> tuple[Rendering, ...]:
        """How an active image is shown; each rendering comes once."""
        own: Rendering = "crop" if exemplar.image in self.sufficing else "outline"
        return tuple(dict.fromkeys(own if r == AUTO else r for r in self.settings.renderings))

    def _level(self, exemplar: Exemplar) -> str:
        match self.settings.levels:
            case "words":
                return "strong" if exemplar.stratum == "top" else "weaker"
            case "numbers":
                return f"{exemplar.activation:.3g}"
            case "none":
                return ""

    def _silent_level(self, exemplar: Exemplar) -> str:
        """How near the feature came to firing; empty where that is not known."""
        share = exemplar.share_reached(self.active_above)
        if share is None or self.settings.levels == "none":
            return ""
        return (
            f"{share:.0%} of what fires it" if self.settings.levels == "words" else f"{exemplar.silent_activation:.3g}"
        )

    def _record(
        self,
        feature: Feature,
        shown: Shown,
        reply: ExplainReply,
        model: str,
        found: Mapping[str, DomainFinding],
        usage: Usage,
        parents: tuple[int, ...],
    ) -> Explanation:
        none = reply.verdict == "none"
        ids = [e.image for e in shown.active]
        return Explanation(
            feature=feature.id,
            text="" if none else plain(reply.explanation),
            concepts=() if none else tuple(plain(c) for c in reply.concepts if c.strip()),
            none=none,
            mixed=reply.verdict == "mixed",
            candidates=tuple(plain(c) for c in reply.candidates if c.strip()),
            lookalikes=plain(reply.lookalikes),
            misfits=_ids(reply.misfits, ids),
            domain=found.get("domain"),
            shuffled=found.get("shuffled"),
            parents=parents,
            model=model,
            prompt=self.digest,
            images=tuple(ids),
            contrast=tuple(e.image for e in shown.contrast),
            counterfactuals=None if self.settings.contrast_kind == "silent" else shown.pairs,
            cropped=tuple(i for i in ids if i in self.sufficing) if AUTO in self.settings.renderings else None,
            usage=usage + self.painting,
            created=now(),
        )


def _finding(reply: DomainReply, domain: str, active: Sequence[Exemplar]) -> DomainFinding:
    ids = [e.image for e in active]
    return DomainFinding(
        domain=domain,
        found=reply.found,
        text=plain(reply.error) if reply.found else "",
        category=plain(reply.category) if reply.found else "none",
        images=_ids(reply.images, ids) if reply.found else (),
        observations=plain(reply.observations),
    )


def _ids(numbers: Sequence[int], ids: Sequence[int]) -> tuple[int, ...]:
    """Image ids of the numbers that the prompt used; a number it did not use is dropped."""
    return tuple(ids[n - 1] for n in dict.fromkeys(numbers) if 1 <= n <= len(ids))


def nothing_to_show(feature: Feature) -> str:
    """Why no active image can be shown."""
    if feature.active:
        return TOO_FEW
    return NO_IMAGES if feature.row.n_active else NEVER_FIRED
