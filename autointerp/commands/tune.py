"""`autointerp tune`: an explainer, trained by what its explanations are worth."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from autointerp.extras import RL
from autointerp.options import Argument, Group, Option, Work
from autointerp.settings import (
    JUDGE_ENGINE,
    CandidateSettings,
    EngineSettings,
    ExplainSettings,
    ModelSettings,
    OfDump,
    OfFeatures,
    TuneSettings,
    WithFiles,
)


class Tune(WithFiles, OfFeatures, OfDump):
    """Train an explainer by what its explanations are worth, without letting it collapse onto one phrase.

    Any vision-language model of the Hugging Face hub, or a text model, which is told the images' labels. The reward is
    a judge's word on held-out images; each is divided by how often its meaning was sampled. Run the same command again
    to go on after a stop. Needs the extra `rl`; described in docs/ips.md.

    Example: `autointerp tune DUMP --model Qwen/Qwen2.5-VL-3B-Instruct --lora 16 --learning-rate 1e-5 --out tuned
    --judge-model gpt-5-mini --features 0-511`
    """

    out: Annotated[Path, Argument(option=True)]
    """The folder that is written; the same one goes on after a stop."""
    model: Annotated[str, Option(panel="Model")] = Field(min_length=1)
    """The explainer to train: a folder, or a name on the Hugging Face hub."""
    judge: Annotated[
        ModelSettings,
        Group(
            only=("model", "base_url"),
            options={
                "model": Option(
                    "--judge-model",
                    env="AUTOINTERP_JUDGE_MODEL",
                    missing="name a judge with --judge-model: one that your endpoint knows, e.g. gpt-5-mini, or "
                    "`local`",
                    help="The judge, whose word is the reward.",
                ),
                "base_url": Option(
                    "--judge-base-url",
                    env=("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL"),
                    several=True,
                    help="The judge's server; without it, that of OPENAI_BASE_URL, else OpenAI.",
                ),
            },
        ),
    ]
    """The judge."""
    settings: TuneSettings = TuneSettings()
    """How the explainer is trained."""
    explaining: Annotated[
        ExplainSettings, Group(only=("n_top", "n_bands", "n_contrast", "renderings", "region.side", "seed"))
    ] = ExplainSettings()
    """What the explainer is shown and asked."""
    choosing: Annotated[
        CandidateSettings,
        Group(
            only=("n_active", "n_silent", "embedder"),
            options={
                "n_active": Option("--active", help="How many held-out active images replies are judged on."),
                "n_silent": Option("--silent", help="How many held-out silent images replies are judged on."),
            },
            panel="What the judge is shown and asked",
        ),
    ] = CandidateSettings()
    """What replies are judged on, and how their meanings are told apart."""
    engine: Annotated[EngineSettings, JUDGE_ENGINE] = EngineSettings()
    """How the judge's endpoint is used."""


tune = Work(Tune, "autointerp.jobs.tune:run", needs=("tuning", RL, "rl"))
