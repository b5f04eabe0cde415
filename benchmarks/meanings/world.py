"""Planted features of one and of two meanings, explainers and judges of known habits, answered within this process.

What an image shows is a set of properties; a text means one property, which stands in its last words. Nothing here is
shared with what is measured: not the tests, not the clusters, not the choice of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, TypeVar

from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Answer
from autointerp.lmm.request import ImagePart, Request
from autointerp.replies import JudgeReply, Reply
from autointerp.schema import Exemplar, Feature, FeatureRow, ImageRow, Usage

R = TypeVar("R", bound=Reply)
Shows = frozenset[str]

FIRST, SECOND, CORRELATED, WIDER = "herons", "kettles", "reeds", "grey things"
"""What the feature fires on (the second in features of two meanings alone), what often stands beside the first, and
what holds of all that the feature fires on and of much else."""
HALVES = ("young birds", "old birds")
"""Each image of the first thing shows one of them: narrower than the meaning, and no meanings of their own."""
WORDINGS = ("{}", "images of {}", "at least one of several {}")
N_IMAGES, N_ACTIVE = 50_000, 1_000
N_TOP, N_SILENT, N_GUIDED, N_BANDS = 16, 60, 40, 4
"""Rows of a feature in a dump, as `harvest` draws them by default; a band has eight rows more."""


class Kind(NamedTuple):
    """How a feature is planted."""

    name: str
    second: float
    """The share of the images that fire it which show the second thing, and not the first."""

    @property
    def truth(self) -> Shows:
        """What it fires on."""
        return frozenset((FIRST, SECOND) if self.second else (FIRST,))


KINDS = (Kind("one meaning", 0.0), Kind("two, 1:1", 0.5), Kind("two, 3:1", 0.25))


class Errors(NamedTuple):
    """What a judge gets right."""

    name: str
    yes: float = 1.0
    """Of images that show what the text says, and of pairs of texts that mean the same."""
    no: float = 1.0
    """Of the others."""


JUDGES = (Errors("perfect"), Errors("errs, .90/.98", 0.9, 0.98), Errors("errs, .90/.97", 0.9, 0.97))
FOND, MIXING, SPLITTING = "favourite phrase", "mixing", "splitting"
EXPLAINERS = (FOND, MIXING, SPLITTING)


def means(text: str) -> str:
    """The property that a text names."""
    return next(p for p in (FIRST, SECOND, CORRELATED, WIDER, *HALVES) if text.endswith(p))


@dataclass(frozen=True)
class Planted:
    """A feature, and what its images show."""

    kind: Kind
    feature: Feature
    images: dict[int, ImageRow]
    shows: dict[int, Shows]


def plant(kind: Kind, number: int, per_band: int = 8) -> Planted:
    """A feature with `per_band` rows in each band; all but `kind` is drawn by its number."""
    chance = Random(f"planted:{kind.name}:{number}")
    bands = [(f"q{i}", per_band, per_band / ((N_ACTIVE - N_TOP) / N_BANDS)) for i in range(N_BANDS, 0, -1)]
    silent = [("silent", N_SILENT, N_SILENT / (N_IMAGES - N_ACTIVE)), ("guided", N_GUIDED, N_GUIDED / 1_000)]
    rows: list[Exemplar] = []
    shows: dict[int, Shows] = {}
    for stratum, n, probability in (("top", N_TOP, 1.0), *bands, *silent):
        for _ in range(n):
            image = len(rows)
            active = stratum not in ("silent", "guided")
            shows[image] = _fires(kind, chance) if active else _silent(chance, alike=stratum == "guided")
            rows.append(Exemplar(image, (1 - image / 1_000) * active, stratum, probability, None, None))
    images = {i: ImageRow(i, 64, 64, f"{number:032x}{i:032x}", None, None, None) for i in shows}
    return Planted(kind, Feature(FeatureRow(number, 8, N_ACTIVE, 1.0, None, None), tuple(rows)), images, shows)


def _fires(kind: Kind, chance: Random) -> Shows:
    own = SECOND if chance.random() < kind.second else FIRST
    beside = {CORRELATED} if chance.random() < (0.55 if own == FIRST else 0.1) else set[str]()
    half = {chance.choice(HALVES)} if own == FIRST else set[str]()
    return frozenset({own, WIDER, *beside, *half})


def _silent(chance: Random, *, alike: bool) -> Shows:
    drawn = {
        p
        for p, share in ((CORRELATED, 0.3 if alike else 0.1), (WIDER, 0.4 if alike else 0.15))
        if chance.random() < share
    }
    return frozenset(drawn)


class StandIn(Gateway):
    """Answers explaining, judging and comparing, and counts what is asked."""

    def __init__(self, planted: Planted, explainer: str, judge: Errors, seed: int) -> None:
        self.calls = 0
        self._planted, self._explainer, self._judge, self._seed = planted, explainer, judge, seed

    async def ask(self, request: Request, reply: type[R]) -> Answer[R]:
        """Answers as the task asks."""
        self.calls += 1
        if issubclass(reply, JudgeReply):
            value = {f"image_{n}": self._fits(request.subject, image) for n, image in request.images.items()}
        elif request.task == "same":
            value = {"same": self._same(*request.subject.split("\n"))}
        else:
            value = explained(self._explainer, self._views(request), Random(f"said:{self._seed}:{request.seed}"))
        return Answer(reply.model_validate(value), Usage(calls=1), request.model, cached=False)

    def _views(self, request: Request) -> list[Shows]:
        parts = [p for m in request.messages for p in m.parts if isinstance(p, ImagePart) and p.role == "active"]
        return [self._planted.shows[i] for i in dict.fromkeys(t.image for p in parts for t in p.picture.tiles)]

    def _fits(self, text: str, image: int) -> str:
        return self._says(means(text) in self._planted.shows[image], f"{text}:{image}")

    def _same(self, first: str, second: str) -> str:
        return self._says(means(first) == means(second), f"{first}:{second}")

    def _says(self, right: bool, about: str) -> str:
        errs = Random(f"judged:{self._seed}:{about}").random() >= (self._judge.yes if right else self._judge.no)
        return "yes" if right != errs else "no"


def explained(explainer: str, views: Sequence[Shows], chance: Random) -> Mapping[str, object]:
    """The reply of an explainer to the images it sees.

    Seven times in ten it names a thing that the feature fires on, drawn in proportion to the images that show it, else
    what is correlated or wider. The mixing one says every second time both things, where two images show each, and of
    one thing every fourth time the thing and what is correlated, as if these were two. The splitting one says every
    second time both halves of the first thing.
    """
    counts = {p: sum(p in shown for shown in views) for p in (FIRST, SECOND)}
    there = [p for p, n in counts.items() if n >= min(2, len(views))]
    draw, mixed = chance.random(), chance.random()
    own = chance.choices(list(counts), list(counts.values()))[0]
    named = [own if draw < 0.7 else CORRELATED if draw < 0.85 else WIDER]
    if explainer == MIXING and mixed < (0.5 if len(there) > 1 else 0.25):
        named = there if len(there) > 1 else [own, CORRELATED]
    if explainer == SPLITTING and mixed < 0.5:
        named = list(HALVES)
    said = [chance.choice(WORDINGS).format(p) for p in named]
    one = len(said) == 1
    return {
        "candidates": said,
        "verdict": "one" if one else "mixed",
        "explanation": " or ".join(said),
        "concepts": named if one else said,
    }
