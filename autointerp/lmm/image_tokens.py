"""How many tokens an image, a text and a whole request will count, by the rules of the model's family."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from importlib.resources import files
from math import ceil, isqrt, sqrt
from typing import Literal, NamedTuple

from autointerp.images.picture import Picture
from autointerp.lmm.request import ImagePart, Request

Detail = Literal["low", "medium", "high"]
"""The `detail` sent with an image; `medium` differs from `high` for Gemini 3 only."""


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """What one image counts, and how that is known."""

    tokens: int
    rule: str
    """Family and rule in words, for a report or an estimate."""
    exact: bool
    """False: an approximation that rather errs high, such as the fallback for a model of no known family."""


class TokenEstimate(NamedTuple):
    """Tokens of one call, before it is made."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Family:
    """A row of data/image_tokens.toml, which explains the columns."""

    name: str
    pattern: str
    rule: str
    numbers: Mapping[str, int]
    low: int | None
    exact_to: int


Rule = Callable[[int, int, Mapping[str, int], Detail], int]


def image_tokens(model: str, width: int, height: int, detail: Detail = "high") -> ImageTokens:
    """Counts the tokens of one image.

    Args:
        model: name as sent to the endpoint; a provider's prefix (`openai/gpt-5-mini`) does not matter.
        width: pixels across, at least 1.
        height: pixels down, at least 1.
        detail: what is asked of the endpoint; a family without such a setting counts as at `high`.
    """
    assert width > 0
    assert height > 0
    return _image_tokens(model, width, height, detail)


def estimate_text_tokens(text: str) -> int:
    """Estimates the tokens of a text: two for seven ASCII characters, one for any other character, rounded up.

    English prose has 4 to 5 characters a token and JSON about 3, so that the figure rather errs high.
    """
    ascii_characters = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return -(-2 * ascii_characters // 7) + len(text) - ascii_characters


PART_TOKENS = 4
"""Marks around a message, a part or a schema; chat formats use 3 or 4."""


def estimate_request(
    request: Request, picture_size: Callable[[Picture], tuple[int, int]], output_tokens: int
) -> TokenEstimate:
    """Estimates the tokens of a request: texts, pictures at the detail asked for, the reply's schema, and marks.

    Args:
        request: the question; its `model` decides the image rule.
        picture_size: width and height in pixels of a picture as it will be sent.
        output_tokens: expected length of the reply; the request's own `max_tokens` bounds it.
    """
    detail = detail_of(request)
    pictures = sum(image_tokens(request.model, *picture_size(p), detail).tokens for p in request.pictures)
    return TokenEstimate(words_of(request) + pictures, min(output_tokens, request.max_tokens))


def words_of(request: Request) -> int:
    """Estimates the tokens of all in a request that is no picture: texts, the reply's schema, and marks."""
    total = PART_TOKENS + estimate_text_tokens(request.reply_schema)
    for message in request.messages:
        total += PART_TOKENS * (1 + len(message.parts))
        total += sum(estimate_text_tokens(p.text) for p in message.parts if not isinstance(p, ImagePart))
    return total


def detail_of(request: Request) -> Detail:
    """Returns the detail by which the pictures of a request count: high unless low is asked for."""
    return "high" if request.detail == "auto" else request.detail


@lru_cache(maxsize=65536)
def _image_tokens(model: str, width: int, height: int, detail: Detail) -> ImageTokens:
    family = _family_of(model)
    if family is None:
        return ImageTokens(_fallback(width, height), "unknown model: a guess on the high side", exact=False)
    if detail == "low" and family.low is not None:
        return ImageTokens(family.low, f"{family.name}: low detail", exact=family.exact_to > 0)
    tokens = RULES[family.rule](width, height, family.numbers, detail)
    exact = max(width, height) <= family.exact_to
    return ImageTokens(tokens, f"{family.name}: {family.rule.replace('_', ' ')}", exact)


def _fallback(width: int, height: int) -> int:
    """Returns at least what any known family counts, except for the two costliest (gpt-4o-mini and Llama 3.2)."""
    return max(1120, 2 * ceil(width / 28) * ceil(height / 28))


@lru_cache(maxsize=1024)
def _family_of(model: str) -> Family | None:
    bare = model.lower().rsplit("/", 1)[-1]
    return next((f for f in families() if re.search(f.pattern, bare)), None)


@cache
def families() -> tuple[Family, ...]:
    """Returns the rows of the data table, in the order in which they are tried."""
    table = tomllib.loads(files("autointerp.lmm").joinpath("data/image_tokens.toml").read_text("utf-8"))
    return tuple(
        Family(r["name"], r["pattern"], r["rule"], r["with"], r.get("low"), r["exact_to"]) for r in table["family"]
    )


def _flat(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    return numbers["tokens"]


def _openai_tiles(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Shrinks to fit 2048 × 2048, then to a short side of 768, never enlarges; then counts tiles of 512."""
    scale = min(Fraction(1), Fraction(2048, max(width, height)), Fraction(768, min(width, height)))
    tiles = ceil(width * scale / 512) * ceil(height * scale / 512)
    return numbers["base"] + tiles * numbers["per_tile"]


def _patches(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    return ceil(width / numbers["side"]) * ceil(height / numbers["side"])


def _scaled_patches(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    # Whole percents keep the last ceil free of floating-point surprises.
    return -(-_patches(width, height, numbers, detail) * numbers["percent"] // 100)


def _patches_and_breaks(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Counts a token for each patch, and one more that ends every row."""
    return _patches(width, height, numbers, detail) + ceil(height / numbers["side"])


def _grid_in_budget(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Returns the largest grid of the image's shape that the budget holds, whatever the image's size."""
    budget = numbers[detail]
    rows = max(1, isqrt(budget * height // width))
    columns = max(1, isqrt(budget * width // height))
    return min(budget, rows * columns)


def _gemini_tiles(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Counts one tile for a small image; else tiles of two thirds of the short side, within bounds."""
    if max(width, height) <= numbers["small"]:
        return numbers["per_tile"]
    side = min(max(2 * min(width, height) // 3, numbers["smallest"]), numbers["largest"])
    return numbers["per_tile"] * ceil(width / side) * ceil(height / side)


def _rounded_patches(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Sides rounded to whole patches, then scaled if there are fewer than `least` or more than `most` patches."""
    side, least, most = numbers["side"], numbers["least"], numbers["most"]
    columns, rows = max(1, round(Fraction(width, side))), max(1, round(Fraction(height, side)))
    wide, high = width / side, height / side
    if columns * rows > most:
        shrink = sqrt(wide * high / most)
        return max(1, int(wide / shrink)) * max(1, int(high / shrink))
    if columns * rows < least:
        grow = sqrt(least / (wide * high))
        # 224 · (256/224) must give 8 patches of 32, not 9.
        return ceil(wide * grow - 1e-9) * ceil(high * grow - 1e-9)
    return columns * rows


def _internvl_tiles(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Tiles in the grid nearest to the image's shape, and a thumbnail where there are several.

    Of grids equally near the larger is taken if the image has more than half of its pixels.
    """
    most, side = numbers["most"], numbers["side"]
    grids = sorted((c * r, c, r) for c in range(1, most + 1) for r in range(1, most + 1) if c * r <= most)
    best, distance = 1, Fraction(10**9)
    for n, columns, rows in grids:
        gap = abs(Fraction(width, height) - Fraction(columns, rows))
        if gap < distance or (gap == distance and 2 * width * height > side * side * n):
            best, distance = n, gap
    return numbers["per_tile"] * (best + (best > 1))


def _canvas_tiles(width: int, height: int, numbers: Mapping[str, int], detail: Detail) -> int:
    """Tiles of the canvas that enlarges the image least, or else shrinks it least; the smallest such.

    `whole` further tiles hold the image as a whole where there are several.
    """
    most, side = numbers["most"], numbers["side"]
    canvases = [
        (min(Fraction(c * side, width), Fraction(r * side, height)), c * r)
        for c in range(1, most + 1)
        for r in range(1, most // c + 1)
    ]
    enlarging = [scale for scale, _ in canvases if scale >= 1]
    wanted = min(enlarging) if enlarging else max(scale for scale, _ in canvases)
    tiles = min(n for scale, n in canvases if scale == wanted)
    return numbers["per_tile"] * (tiles + (numbers["whole"] if tiles > 1 else 0))


RULES: dict[str, Rule] = {
    "flat": _flat,
    "openai_tiles": _openai_tiles,
    "patches": _patches,
    "scaled_patches": _scaled_patches,
    "patches_and_breaks": _patches_and_breaks,
    "grid_in_budget": _grid_in_budget,
    "gemini_tiles": _gemini_tiles,
    "rounded_patches": _rounded_patches,
    "internvl_tiles": _internvl_tiles,
    "canvas_tiles": _canvas_tiles,
}
"""Rules by the name that the data table gives them; each takes width and height in pixels, numbers and detail."""
