"""What each way of showing images counts in tokens, for docs/costs.md: `python -m benchmarks.truth.looking.costs`."""

from pathlib import Path

from autointerp.images.render import picture_size
from autointerp.lmm.image_tokens import image_tokens
from autointerp.prompts import load_prompt
from autointerp.scoring.judge import Judge
from autointerp.settings import ModelSettings, ScoreSettings
from benchmarks.figures import put_between
from benchmarks.token_levers import FAMILIES, IMAGE, REGION, TEXT, items_of
from benchmarks.truth.looking.tables import markdown

PAGE = Path(__file__).parent.parent.parent.parent / "docs/costs.md"
MARKS = ("<!-- shown -->", "<!-- /shown -->")
THING = 0.15
WAYS = (
    ("crop", 224, 12),
    ("full", 224, 12),
    ("full", 336, 12),
    ("full", 448, 12),
    ("full", 448, 6),
    ("full", 448, 4),
    ("zoom", 224, 12),
    ("zoom", 224, 6),
)
"""Renderings, sides of a cell in pixels, and images a sheet."""


def costs_table() -> str:
    """Image tokens of one judged image of 512 px whose region has 200, and pixels of a thing of .15 of its side."""
    rows: list[list[str]] = []
    for rendering, side, per_call in WAYS:
        tokens = [f"{judged_tokens(rendering, side, per_call, model):.0f}" for model in FAMILIES.values()]
        widest = side if rendering != "crop" else IMAGE * side / max(side, REGION.width)
        parts = f"{THING * widest:.0f}" if rendering != "zoom" else f"{THING * side:.0f}, enlarged {THING * IMAGE:.0f}"
        rows.append([rendering, str(side), str(per_call), *tokens, parts])
    head = ("shown as", "side of a cell, px", "images a sheet", *FAMILIES, f"a thing of {THING} of the side, px")
    return markdown(head, rows)


def judged_tokens(rendering: str, side: int, per_call: int, model: str) -> float:
    """Image tokens of one judged image."""
    asked = {"rendering": rendering, "per_call": per_call, "region": {"side": side}}
    settings = ScoreSettings.model_validate(asked)
    judge = Judge(ModelSettings(model=model), settings, load_prompt("judge", None))
    (request,) = judge.requests(TEXT, items_of(per_call, settings))
    return sum(image_tokens(model, *picture_size(p)).tokens for p in request.pictures) / per_call


if __name__ == "__main__":
    put_between(PAGE, costs_table(), MARKS)
