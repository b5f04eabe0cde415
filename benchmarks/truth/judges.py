"""Judges that know the truth and err at known rates, behind the gateway that real ones stand behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from zlib import crc32

import numpy as np

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Answer, Failure
from autointerp.lmm.request import Request
from autointerp.replies import Fit, Reply
from autointerp.schema import Usage
from benchmarks.truth.world import Bools, Concept, Floats, World

R = TypeVar("R", bound=Reply)

SHEET = 36
"""Images a call at which `crowded` errors are reached."""


@dataclass(frozen=True)
class Errs:
    """How a judge errs."""

    name: str
    sensitivity: float = 1.0
    specificity: float = 1.0
    near_specificity: float | None = None
    """On images that hold all but one attribute of what is asked for; None: as elsewhere."""
    by_image: bool = False
    """The same image is misjudged every time, whatever is asked; else each call errs anew."""
    unsure: float = 0.0
    """Share of judgements that come back as unsure, right or wrong."""
    refusals: float = 0.0
    """Share of calls that are refused."""
    crowded: float = 1.0
    """Errors on sheets of 36 and more as a multiple of those on single images, linear between."""

    def multiple(self, per_call: int) -> float:
        """Of the error rates, at so many images a call."""
        return 1 + (self.crowded - 1) * min(per_call - 1, SHEET - 1) / (SHEET - 1)


PERFECT = Errs("perfect")
GOOD = Errs("se .95 sp .98", 0.95, 0.98)
WEAK = Errs("se .85 sp .93", 0.85, 0.93)
STUBBORN = Errs("se .95 sp .98, by image", 0.95, 0.98, by_image=True)
HESITANT = Errs("unsure 15 %", 1.0, 1.0, unsure=0.15)
REFUSING = Errs("refuses 5 % of calls", 1.0, 1.0, refusals=0.05)
CROWDED = Errs("single .98/.99, sheet of 36 .92/.96", 0.98, 0.99, crowded=4.0)
NEAR = Errs("errs on near misses: se .95, sp .9 near, .9995 else", 0.95, 0.9995, near_specificity=0.9)
JUDGES = (PERFECT, GOOD, WEAK, STUBBORN, HESITANT, REFUSING, CROWDED, NEAR)


@dataclass
class Knowing:
    """One judge asked about one explanation: what it says of each image, and what that costs."""

    errs: Errs
    concept: Concept
    world: World
    salt: str = ""
    """Sets the chance of one protocol apart from that of another."""
    calls: int = 0
    images: int = 0

    @cached_property
    def fits(self) -> Bools:
        """The explanation's true extension; shape [n]."""
        return self.world.true_of(self.concept)

    @cached_property
    def _wrong(self) -> Floats:
        """Error rate of each image, judged alone; shape [n]."""
        out = np.where(self.fits, 1 - self.errs.sensitivity, 1 - self.errs.specificity)
        if self.errs.near_specificity is not None:
            out[self.world.near(self.concept)] = 1 - self.errs.near_specificity
        return out

    @cached_property
    def _difficulty(self) -> Floats:
        return np.random.default_rng((0xD1F, self.world.seed)).random(len(self.world))

    def chance_of_yes(self, per_call: int) -> Floats:
        """That it says yes to each image, at so many a call, were it never unsure; shape [n]."""
        rate = self._wrong * self.errs.multiple(per_call)
        if self.errs.by_image:
            return ((self._difficulty < rate) != self.fits).astype(float)
        return np.where(self.fits, 1 - rate, rate)

    def expected(self, per_call: int) -> Floats:
        """Mean belief in each image of the population, at so many a call, once all is decided; shape [n]."""
        return self.chance_of_yes(per_call)

    def expected_twice(self, screened_per_call: int) -> Floats:
        """Mean belief, alone, in images that a sheet has not cleared; 0 for those that it clears; shape [n]."""
        first = self.chance_of_yes(screened_per_call)
        through = self.errs.unsure + (1 - self.errs.unsure) * first
        # The difficulty of an image decides both looks alike, so that what passes the one is what passes the other.
        alone = self.expected(1)
        return np.where(first > 0, alone, self.errs.unsure * alone) if self.errs.by_image else through * alone

    def say(self, images: Sequence[int]) -> tuple[Fit, ...] | None:
        """The judge's word on the images of one call; None for a refusal. The same call is answered the same."""
        self.calls += 1
        self.images += len(images)
        if self.errs is PERFECT:
            return tuple("yes" if fit else "no" for fit in self.fits[list(images)])
        seed = crc32(f"{self.salt} {sorted(map(sorted, self.concept))} {list(images)}".encode())
        chance = np.random.default_rng((0x3A1D, self.world.seed, seed))
        if chance.random() < self.errs.refusals:
            return None
        at = np.asarray(images)
        luck = self._difficulty[at] if self.errs.by_image else chance.random(len(at))
        yes = (luck < self._wrong[at] * self.errs.multiple(len(at))) != self.fits[at]
        unsure = chance.random(len(at)) < self.errs.unsure
        return tuple("unsure" if u else "yes" if y else "no" for u, y in zip(unsure, yes, strict=True))


def shown_in(request: Request) -> list[int]:
    """Image ids of a question's pictures, in the order of their numbers."""
    return list(request.images.values())


class KnowingGateway(Gateway):
    """Answers a question from a knowing judge at once: no cache, no limits, no client."""

    def __init__(self, judge: Knowing) -> None:
        self.judge = judge

    async def ask(self, request: Request, reply: type[R]) -> Answer[R] | Failure:
        """The judge's word on the pictures of a judging question."""
        said = self.judge.say(shown_in(request))
        if said is None:
            return Failure("refused", "I cannot help with that.", 1)
        value = reply.model_validate({f"image_{i}": fit for i, fit in enumerate(said, 1)})
        return Answer(value, Usage(calls=1), "knowing", cached=False)
