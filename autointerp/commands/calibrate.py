"""`autointerp calibrate`: how far a judge's answers can be trusted."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, NonNegativeInt

from autointerp.options import Commas, Group, Option, Work
from autointerp.remote.path import AnyPath, as_path
from autointerp.settings import (
    JUDGE_ENGINE,
    EngineSettings,
    Location,
    ModelSettings,
    PageSettings,
    ScoreSettings,
    WithFiles,
    split_at_commas,
)

SIDES = (128, 256)
"""Pixels of the sides of planted images: cut out, their things are fragments of 38 to some 130 pixels."""


def _sides(value: object) -> object:
    """Numbers in one text with commas between them, or one by one."""
    parts = split_at_commas(value)
    if isinstance(value, str) and not parts:
        raise ValueError("name one side at least")
    return parts


class Calibrate(WithFiles):
    """Measure a judge on planted images whose truth is known, so that `score` can correct and warn.

    Drawn scenes of known shapes, colours, sizes, places, numbers, textures and shadows are judged in several formats,
    shown as `score` would show them. Give `--judge-rendering`, `--layout`, `--per-call` and `--judge-side` as you will
    give them to `score`, and `--planted-sides` as your images have.

    Example: `autointerp calibrate --model gpt-5-mini --out calibration/gpt-5-mini.json`
    """

    model: Annotated[
        ModelSettings,
        Group(
            options={
                "model": Option(
                    "--judge-model",
                    "--model",
                    env="AUTOINTERP_JUDGE_MODEL",
                    missing="name a judge with --model: one that your endpoint knows, e.g. gpt-5-mini, "
                    "or `local` for the embedded one",
                ),
                "base_url": Option(
                    "--judge-base-url",
                    "--base-url",
                    env=("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"),
                    several=True,
                ),
            }
        ),
    ]
    """The judge."""
    out: Annotated[Location | None, Option(panel="Output", default="calibration/MODEL.json")] = None
    """The file that is written; or its URL, such as s3://bucket/gpt-5-mini.json."""
    calls: int = 180
    """How many calls to the judge are made, 12 at least, in the format of the runs, reversed, and in others."""
    sides: Annotated[
        tuple[Annotated[int, Field(ge=64, le=2048)], ...],
        BeforeValidator(_sides),
        Commas(),
        Option("--planted-sides", key="planted_sides"),
    ] = SIDES
    """The sides of the planted images, in pixels, as of your own images, with commas between them."""
    seed: NonNegativeInt = 0
    """The seed of every random choice; it is also sent to the endpoint."""
    settings: Annotated[ScoreSettings, Group(only=("layout", "per_call", "columns", "rendering", "region", "seed"))] = (
        ScoreSettings()
    )
    """How images are shown; as in the runs that the judge is to score."""
    engine: Annotated[EngineSettings, JUDGE_ENGINE] = EngineSettings()
    """How the endpoint is used."""
    page: PageSettings = PageSettings()
    """Where the page is served on which a person judges."""
    keep_images: Annotated[Path | None, Option(panel="Output")] = None
    """The folder in which the planted images stay, a dump that `explain` takes as well."""
    batch: Annotated[bool, Option(panel="Many machines")] = False
    """Ask nothing now, and record the command for a batch job (`autointerp batch run RUN`)."""

    @property
    def target(self) -> AnyPath:
        """The file that is written."""
        return as_path(self.out or f"calibration/{slug(self.model.model)}.json")

    @property
    def stage(self) -> str:
        """The name of the stage in a batch job; a folder may hold the calibrations of several judges."""
        return f"calibrate {self.target.name}"


def slug(model: str) -> str:
    """A model's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._@-]+", "-", model).strip("-.") or "model"


calibrate = Work(Calibrate, "autointerp.jobs.calibrate:run")
