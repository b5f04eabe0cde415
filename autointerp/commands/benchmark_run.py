"""`autointerp benchmark run`: what a pack finds in the images of several generators."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Group, Option, Settings, Work
from autointerp.settings import EngineSettings, ModelChoice
from autointerp.transcoder.settings import Several


class Comparing(Settings):
    """Says how generators are compared."""

    panel: ClassVar[str] = "Options"

    level: float = Field(default=0.05, gt=0, lt=1)
    """The false discovery rate at which differences count as findings."""
    replicates: Annotated[PositiveInt, Option("--bootstrap")] = Field(default=2000, ge=100, le=100_000)
    """How many times prompts are drawn anew for ranks."""
    strongest: NonNegativeInt = Field(default=12, le=100)
    """How many of the strongest images of each mode and generator are shown."""
    seed: NonNegativeInt = 0
    """The seed of every draw."""


class Judged(Settings):
    """Which images a judge looks at."""

    panel: ClassVar[str] = "What the judge is shown and asked"

    n_fired: Annotated[NonNegativeInt, Option("--judge-fired")] = Field(default=40, le=10_000)
    """How many images of each generator on which a mode is on are judged."""
    n_silent: Annotated[NonNegativeInt, Option("--judge-silent")] = Field(default=60, le=10_000)
    """How many of the others are judged, without which what the features miss is unknown."""
    per_call: int = Field(default=12, ge=1, le=64)
    """With --judge-model, how many images one call shows."""
    side: Annotated[int, Option("--judge-side")] = Field(default=448, ge=16, le=4096)
    """The longest side of an image that a judge is shown, in pixels."""


class BenchmarkRun(Command):
    """Compare image generators by the failure modes of a pack: rates, differences, ranks.

    Every image is run once; the same command goes on after a stop, and a generator that is added costs its own images
    alone. Images that are made from one prompt, and near-duplicates, count together in every interval. Differences
    allow for style: features that have nothing to do with errors show how far two generators differ anyway.

    A random sample of images on which each mode is on and is not can be judged, by --judge-model or by a person:
    to-judge.csv in the result names their pictures, and neither the generator nor whether the mode is on; --verdicts
    reads it with its column `answer` filled in. The rates are then of errors and not of what the network sees.

    Example: `autointerp benchmark run first-pack --images A=a/ --images B=b/ --out a-b`
    """

    pack: Annotated[Path, Argument()]
    """The folder of a pack."""
    out: Annotated[Path, Argument(option=True)]
    """The folder of the result; with one that is there already, its images are not run again."""
    images: Annotated[Several, Option(metavar="NAME=FOLDER")] = ()
    """A generator's name and its images: a folder, or any other form of docs/bring-your-own.md; repeat it."""
    manifest: Path | None = None
    """A CSV, TSV or Parquet file with the columns path and generator, and perhaps prompt and seed."""
    reference: str | None = None
    """Which of the names is of sound photographs: others are compared with it, and it has no rank. Without it they are
    compared with what the pack says of images without the attribute."""
    paired_names: bool = False
    """With --images, files of one name in several folders were made from the same prompt."""
    mixed_sizes: bool = False
    """Take a generator whose images have several sizes, which mostly means that other files lie among them."""
    verdicts: Path | None = None
    """A table with the columns sha256, mode and answer (yes, no or unsure), such as a filled in to-judge.csv."""
    comparing: Comparing = Comparing()
    """How generators are compared."""
    judged: Judged = Judged()
    """Which images a judge looks at."""
    judge: Annotated[
        ModelChoice,
        Group(
            only=("model", "base_url", "max_tokens", "detail"),
            options={
                "model": Option("--judge-model", help="A model that looks at the sample; without it nobody is asked."),
                "base_url": Option(
                    "--judge-base-url",
                    env=("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"),
                    several=True,
                    help="The judge's server, OpenAI-compatible; without it, that of OPENAI_BASE_URL, else OpenAI.",
                ),
            },
            panel="What the judge is shown and asked",
        ),
    ] = ModelChoice()
    """The judge."""
    engine: Annotated[
        EngineSettings,
        Group(only=("concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "attempts", "budget")),
    ] = EngineSettings()
    """How the judge's endpoint is used."""
    prompts: Annotated[Path | None, Option(panel="Files")] = None
    """A folder of your own prompt templates, which override the shipped ones."""
    prices: Annotated[Path | None, Option(panel="Files")] = None
    """A file of your own prices, TOML or JSON (docs/configuration.md)."""
    backbone: Annotated[str | None, Option(default="what the pack names")] = None
    """The model, where it goes by another name on this machine."""
    cache: Annotated[Path | None, Option(env="AUTOINTERP_CACHE", panel="Files", default="cache/")] = None
    """The folder that remembers image files."""
    batch: PositiveInt = 16
    """How many images are run at once."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


benchmark_run = Work(BenchmarkRun, "autointerp.jobs.benchmark_run:run", needs=("a benchmark", TRAIN, "train"))
"""`benchmark_run(pack, out=…, images=["A=a/", "B=b/"])`."""
