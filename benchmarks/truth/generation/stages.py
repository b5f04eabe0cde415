"""Scores every text by every scorer, judge and way of painting, and finds what each score estimates."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import NamedTuple

from autointerp import ScoreSettings
from autointerp.reports.two_sides import both_sides
from autointerp.schema import Scored, Unscored
from benchmarks.truth.generation.figures import Found, auroc, f1
from benchmarks.truth.generation.network import ABOVE
from benchmarks.truth.generation.painter import WAYS
from benchmarks.truth.generation.planted import KINDS
from benchmarks.truth.generation.running import Bools, Floats, World, endpoint_of, make_world, scored, texts_of
from benchmarks.truth.generation.server import ERRS, Endpoint

JUDGED = {"layout": "separate", "n_controls": 0, "bootstrap": 500}
"""Settings of the judged scores; a picture a slot is what the stand-in judge reads."""
SCENES = 99
"""The seed of the scenes that are painted."""
DEALT = 7
"""How far away the latent is whose text a latent gets where texts are shuffled: none of its kind of cause."""


@dataclass(frozen=True)
class Size:
    """How much is run."""

    population: int = 1200
    worlds: int = 1
    draws: int = 1
    """Of the pictures of each text, in each world."""
    many: int = 120
    """Pictures of each text that stand for all that an endpoint could paint."""
    judges: tuple[str, ...] = tuple(ERRS)
    ways: tuple[str, ...] = WAYS
    kinds: tuple[str, ...] = KINDS
    said_of: tuple[int, ...] = (0, 1, 2, 3)
    """The populations of which it is counted what the report says."""


QUICK = Size(population=400, said_of=(0,), many=60, judges=("knows", "errs often"), ways=("exact", "styled"))


class Said(NamedTuple):
    """What the report says of a text in one sentence, from exact pictures, and the figures of the judge behind it."""

    population: int
    judge: str
    kind: str
    sentence: str | None
    recall: float
    precision: float
    undetermined: bool


@dataclass
class Measured:
    """All scores."""

    detection: list[Found] = field(default_factory=list)
    generation: list[Found] = field(default_factory=list)
    selectivity: list[Found] = field(default_factory=list)
    """The second figure of the same scores, without an interval."""
    sanity: list[Found] = field(default_factory=list)
    """Generation scores of texts dealt to other latents (kind `shuffled`), and of a random network (`random`)."""
    verdicts: list[Said] = field(default_factory=list)
    causal: list[Found] = field(default_factory=list)
    """Of each latent, under the kinds `sufficiency` and `necessity`."""


@dataclass
class Stage:
    """One population, its endpoint, and where its runs are written."""

    world: World
    endpoint: Endpoint
    number: int
    size: Size
    many: dict[tuple[str, str], Floats] = field(default_factory=dict)
    """What all latents do on many pictures, by way and text; shared by all populations of one network."""
    known: dict[tuple[str, str], dict[int, Scored | Unscored]] = field(default_factory=dict)
    """Scores by judge, or way of the first draw, and kind."""

    @cached_property
    def fires(self) -> Bools:
        """Where each latent fires, [n, latents]."""
        return self.world.activations > ABOVE

    def detection(self, judge: str, kind: str) -> list[Found]:
        """Asks a judge about a kind of text."""
        settings = ScoreSettings.model_validate({"scorers": ("detection",), **JUDGED})
        asked = {"judge_model": judge, "judge_base_url": self.endpoint.url}
        scores = self.known[judge, kind] = self._run(f"{judge} {kind}", texts_of(kind), settings, asked)
        return self._found(kind, judge, texts_of(kind), scores)

    def generation(self, way: str, kind: str, draw: int, texts: Mapping[int, str]) -> dict[int, Scored | Unscored]:
        """Has pictures painted of each latent's text, other ones in each draw."""
        seed = 1000 * self.number + draw
        settings = ScoreSettings.model_validate({"scorers": ("generation",), "seed": seed, "bootstrap": 500})
        asked = {"image_model": way, "image_base_url": self.endpoint.url}
        return self._run(f"{way} {kind} {draw}", texts, settings, asked)

    def painted(self, way: str, kind: str, draw: int) -> tuple[list[Found], list[Found]]:
        """Scores a kind of text by pictures; returns values, with what they estimate, and selectivities."""
        texts, at = texts_of(kind), self.number * self.size.draws + draw
        scores = self.generation(way, kind, draw, texts)
        self.known.setdefault((way, kind), scores)
        values = [
            replace(f, draw=at, truth=self.estimated(way, texts[f.latent], f.latent))
            for f in self._found(kind, way, texts, scores)
        ]
        return values, [replace(f, draw=at, value=_detail(scores[f.latent], "selectivity_other")) for f in values]

    def verdicts(self) -> Iterator[Said]:
        """Yields what the report says of each text that has both scores."""
        for judge, kind in product(self.size.judges, self.size.kinds):
            made = self.known[self.size.ways[0], kind]
            for latent, judged in self.known[judge, kind].items():
                if latent in made and isinstance(judged, Scored):
                    sentence = both_sides({"detection": judged, "generation": made[latent]})
                    figures = (judged.number("recall") or 0.0, judged.number("precision") or 0.0)
                    yield Said(self.number, judge, kind, sentence, *figures, bool(judged.undetermined))

    def judged_and_painted(self) -> None:
        """Scores what the report's sentence is made of."""
        for kind in self.size.kinds:
            for judge in self.size.judges:
                self.detection(judge, kind)
            way = self.size.ways[0]
            self.known[way, kind] = self.generation(way, kind, 0, texts_of(kind))

    def causal(self) -> Iterator[Found]:
        """Asks the network about crops; texts are not read."""
        settings = ScoreSettings(scorers=("causal",), bootstrap=500)
        scores = self._run("causal", texts_of("true"), settings, {})
        for kind in ("sufficiency", "necessity"):
            for f in self._found(kind, "network", texts_of("true"), scores):
                yield f if kind == "sufficiency" else replace(f, value=_detail(scores[f.latent], kind))

    def _run(
        self, name: str, texts: Mapping[int, str], settings: ScoreSettings, asked: Mapping[str, str]
    ) -> dict[int, Scored | Unscored]:
        print(f"population {self.number}: {name}", file=sys.stderr, flush=True)
        return scored(self.world, texts, self.world.folder / name.replace(" ", "-"), settings, **asked)

    def _found(
        self, kind: str, by: str, texts: Mapping[int, str], scores: Mapping[int, Scored | Unscored]
    ) -> list[Found]:
        out: list[Found] = []
        for i, text in texts.items():
            score = scores.get(i)
            value, low, high = (score.value, score.low, score.high) if isinstance(score, Scored) else (None, 0.0, 1.0)
            f = f1(self.world.extension(text), self.fires[:, i])
            out.append(Found(i, kind, by, self.number * self.size.draws, value, low, high, f, f))
        return out

    def estimated(self, way: str, text: str, latent: int) -> float:
        """Computes the AUROC of many pictures of a text, of all prompts that came, against the whole population."""
        way = "exact" if way == "refusing" else way
        if (way, text) not in self.many:
            prompts, painter = sorted(self.endpoint.prompts[text]), self.endpoint.painter
            pictures = [painter.paint(way, prompts[n % len(prompts)], n) for n in range(self.size.many)]
            self.many[way, text] = self.world.encoded(pictures)
        return auroc(self.many[way, text][:, latent], self.world.activations[:, latent])


def _detail(score: Scored | Unscored | None, name: str) -> float | None:
    return score.number(name) if isinstance(score, Scored) else None


def measured(folder: Path, size: Size) -> Measured:
    """Runs everything, in folders of its own."""
    out, many = Measured(), {}
    for number in range(size.worlds):
        _measure(out, folder, number, size, many)
    for number in set(size.said_of) - set(range(size.worlds)):
        world = make_world(folder / f"population-{number}", size.population, number)
        with endpoint_of(world, SCENES) as endpoint:
            stage = Stage(world, endpoint, number, size, many)
            stage.judged_and_painted()
            out.verdicts += stage.verdicts()
    return out


def _measure(out: Measured, folder: Path, number: int, size: Size, many: dict[tuple[str, str], Floats]) -> None:
    """Adds the scores in one population."""
    world = make_world(folder / f"population-{number}", size.population, number)
    with endpoint_of(world, SCENES) as endpoint:
        stage = Stage(world, endpoint, number, size, many)
        out.detection += [f for judge in size.judges for kind in size.kinds for f in stage.detection(judge, kind)]
        for way, kind, draw in product(size.ways, size.kinds, range(size.draws)):
            values, selectivities = stage.painted(way, kind, draw)
            out.generation += values
            out.selectivity += selectivities
        out.verdicts += stage.verdicts()
        out.causal += stage.causal()
        if number == 0:
            out.sanity += _sanity(stage, folder / "random")


def _sanity(stage: Stage, folder: Path) -> Iterator[Found]:
    """Deals true texts to other latents, and gives them to the latents of a network of random weights."""
    true = list(texts_of("true").values())
    dealt = {i: true[(i + DEALT) % len(true)] for i in range(len(true))}
    yield from stage._found("shuffled", "exact", dealt, stage.generation("exact", "shuffled", 0, dealt))
    world = make_world(folder, stage.size.population, stage.number, random=1)
    other = Stage(world, stage.endpoint, stage.number, stage.size)
    texts = texts_of("true")
    yield from other._found("random", "exact", texts, other.generation("exact", "random", 0, texts))
