"""What a feature's questions count in tokens, by lever and by the rule of a model's family."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile
from typing import NamedTuple

from autointerp.explanation.explainer import Explainer
from autointerp.images.render import picture_size
from autointerp.lmm.image_tokens import estimate_text_tokens, image_tokens, words_of
from autointerp.lmm.request import Request, TextPart
from autointerp.prompts import load_prompt
from autointerp.schema import Box, Exemplar, Feature, FeatureRow, ImageRow
from autointerp.scoring.judge import Judge
from autointerp.scoring.sampling import Item, make_pool
from autointerp.session.gateway import expected_output
from autointerp.settings import Detail, ExplainSettings, ModelSettings, ScoreSettings
from benchmarks.truth.harvest import explanation_of
from benchmarks.truth.world import GENERIC

FAMILIES = {
    "patches": "claude-haiku-5.5",
    "tiles": "gpt-5",
    "flat, 256": "gemma-3-27b",
    "flat, 1,120": "gemini-3-flash",
}
"""Rules by which images count, and a model of each."""
IMAGE, REGION = 512, Box(150, 150, 350, 350)
"""Side of every image in pixels, and where the feature fires in it."""
TEXT = "an explanation of usual length, which says in some ten words what the images share"
SCREEN_SHEET = 64


@dataclass(frozen=True)
class Look:
    """How images are put before a model; what is judged is the same."""

    layout: str = "sheet"
    rendering: str = "full"
    side: int = 448
    detail: Detail = "auto"
    renderings: tuple[str, ...] = ("outline", "crop")
    explain_side: int = 448


@dataclass(frozen=True)
class Lever:
    """A row of the table: which run of judging it pays for, and how that is shown."""

    name: str
    run: str
    """Of `RUNS`."""
    look: Look = Look()


USUAL = Look()
SMALL = Look(side=112, explain_side=224)
BASE = "one image a request"
LEVERS = (
    Lever(BASE, "1"),
    Lever("12 separate pictures a request", "12", replace(USUAL, layout="separate")),
    Lever("sheets of 12 (default)", "12"),
    Lever("sheets of 24", "24"),
    Lever("sheets of 12, images of 224 px", "12", replace(USUAL, side=224)),
    Lever("sheets of 12, images and places of them, of 224 px", "12", replace(USUAL, rendering="zoom", side=224)),
    Lever("sheets of 12, crops alone, of 224 px", "12", replace(USUAL, rendering="crop", side=224)),
    Lever("sheets of 12, low detail", "12", replace(USUAL, detail="low")),
    Lever("sheets of 12, explained from crops alone", "12", replace(USUAL, renderings=("crop",))),
    Lever("sheets of 12, explainer's pictures of 224 px", "12", replace(USUAL, explain_side=224)),
    Lever("sheets of 24, images of 112 px, explainer's of 224 px", "24", SMALL),
    Lever("screened, then one by one", "screened"),
)


def rows_of(feature: Feature) -> dict[int, ImageRow]:
    """Every image of a feature, all of one size."""
    return {e.image: ImageRow(e.image, IMAGE, IMAGE, f"{e.image:064x}", None, None, None) for e in feature.exemplars}


class Cost(NamedTuple):
    """What some requests take."""

    requests: int
    input_tokens: int
    output_tokens: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, n: int) -> "Cost":
        """The same n times."""
        return Cost(*(n * value for value in self))

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.input_tokens + self.output_tokens


def tokens(lever: Lever, asked: Sequence[tuple[int, bool, int]], model: str) -> int:
    """Explaining and scoring of one feature, in and out.

    Args:
        lever: how images are shown.
        asked: images a call, whether it is a screening sheet, how many such calls.
        model: whose rule counts.
    """
    judging = sum(
        times * cost_of(lever.look, n, model, screening=screen and lever.run == "screened").tokens
        for n, screen, times in asked
    )
    return cost_of(lever.look, None, model).tokens + judging


@cache
def cost_of(look: Look, n: int | None, model: str, *, screening: bool = False) -> Cost:
    """Of one call that judges `n` images; None: of explaining a feature."""
    if n is None:
        return _of_request(_explaining(look, model), model)
    usual = ScoreSettings()
    shown = ScoreSettings.model_validate(
        {
            "layout": look.layout,
            "rendering": look.rendering,
            "per_call": n,
            "columns": round(SCREEN_SHEET**0.5) if screening else usual.columns,
            "region": {"side": usual.screen_side if screening else look.side},
        }
    )
    judge = Judge(ModelSettings(model=model, detail=look.detail), shown, load_prompt("judge", None))
    (request,) = judge.requests(TEXT, items_of(n, shown))
    return _of_request(request, model)


def _explaining(look: Look, model: str) -> Request:
    region = {"side": look.explain_side}
    shown = ExplainSettings.model_validate({"renderings": look.renderings, "region": region})
    asked = ModelSettings(model=model, detail=look.detail)
    feature = specimen(80)
    explainer = Explainer(asked, shown, load_prompt("explain", None), None, None)
    (request,) = explainer.requests(feature, rows_of(feature))
    return request


def _of_request(request: Request, model: str) -> Cost:
    detail = "low" if request.detail == "low" else "high"
    pictures = sum(image_tokens(model, *picture_size(p), detail).tokens for p in request.pictures)
    return Cost(1, words_of(request) + pictures, expected_output(request))


def items_of(n: int, shown: ScoreSettings) -> tuple[Item, ...]:
    """Active images with the usual region, as many as asked for, shown as the settings say."""
    feature = specimen(n + 40)
    said = explanation_of(feature, GENERIC)
    pool = make_pool(feature, said.seen, rows_of(feature), shown, grid=None, n_images=10_000)
    return pool.draw(n, 0).items[:n]


@cache
def specimen(n: int) -> Feature:
    """A feature with `n` active images, all with the usual region, and some silent ones."""
    rows = [Exemplar(i, 2.0, "top" if i % 2 else "q1", 1.0, REGION, None) for i in range(n)]
    rows += [Exemplar(n + i, 0.0, "guided", 0.5, None, None) for i in range(20)]
    return Feature(FeatureRow(0, 1, n, 2.0, None, None), tuple(rows))


def judging(n: int, model: str, text: str = TEXT) -> Request:
    """The question about `n` images on one sheet."""
    shown = ScoreSettings(per_call=n)
    judge = Judge(ModelSettings(model=model), shown, load_prompt("judge", None))
    (request,) = judge.requests(text, items_of(n, shown))
    return request


def explaining(model: str, first_image: int = 0) -> Request:
    """The question about one feature; another first image, another feature."""
    feature = specimen(80)
    moved = tuple(replace(e, image=e.image + first_image) for e in feature.exemplars)
    other = replace(feature, exemplars=moved)
    explainer = Explainer(ModelSettings(model=model), ExplainSettings(), load_prompt("explain", None), None, None)
    (request,) = explainer.requests(other, rows_of(other))
    return request


def common_prefix(one: Request, other: Request) -> int:
    """Tokens of words with which both requests begin, up to the first difference or the first picture that differs."""
    total = 0
    for mine, theirs in zip(_pieces(one), _pieces(other), strict=False):
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(mine, theirs, strict=False))
        total += estimate_text_tokens("".join(a for a, _ in alike))
        if mine != theirs:
            break
    return total


def _pieces(request: Request) -> list[str]:
    """Texts, and pictures by their recipes; these count nothing here, since no two questions share one."""
    parts = [part for message in request.messages for part in message.parts]
    return [part.text if isinstance(part, TextPart) else part.picture.digest for part in parts]
