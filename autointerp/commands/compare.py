"""`autointerp compare`: which of several runs scores better, and which setting makes the difference."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, NonNegativeInt

from autointerp.options import Argument, Group, Option, Work
from autointerp.settings import (
    JUDGE,
    JUDGE_ENGINE,
    UNSTEERED,
    EngineSettings,
    ExplainSettings,
    Location,
    ModelChoice,
    Names,
    OfFeatures,
    ScoreSettings,
    WithFiles,
    alone_or_several,
)
from autointerp.transcoder.settings import NetworkChoice


class Compare(WithFiles, OfFeatures):
    """Tell whether RUN_B scores better than RUN_A, and which of several settings makes a difference.

    Runs over one dump are compared feature by feature on the images that both judged, others as two samples of
    features. Intervals and p-values are over features; no run's dump is read. Of more than two runs each is held
    against the first, and p-values allow for all tests together.

    Of one run that several judges scored, the judges are compared: `autointerp compare runs/first --judge gpt-5-mini
    --judge human:anna` tells how far they agree on the same questions (raw, Cohen's kappa), and how often the first is
    right where the second, a person or the one that --reference names, is the reference, overall and by stratum.

    With --vary the runs are made first: `autointerp compare DUMP --run runs/choices --model M --sample 60 --vary
    judge-rendering=crop --vary levels=none,numbers` explains and scores with the settings given, then once for each
    value with that one setting changed, and says which of them matters. It tells beforehand how many calls that takes
    (--dry-run: that alone). Give the same command again to go on after a stop.

    Example: `autointerp compare runs/first runs/second`
    """

    run_a: Annotated[Location, Argument(metavar="RUN_A")]
    """The folder of the run to compare with, or its URL; with --vary, the dump. Alone: its judges are compared."""
    run_b: Annotated[Location | None, Argument(metavar="RUN_B")] = None
    """The folder of the run in question, or its URL."""
    more: Annotated[tuple[Location, ...], BeforeValidator(alone_or_several), Argument(metavar="RUN")] = ()
    """Further runs, each held against RUN_A."""
    scorers: Annotated[Names | None, Option(default="those that all runs have; with --vary detection")] = None
    """The scorers, with commas between them."""
    seed: NonNegativeInt = 0
    """The seed of the bootstrap and the permutations, and with --vary of every random choice."""
    judges: Annotated[tuple[str, ...], BeforeValidator(alone_or_several), Option("--judge", key="judges")] = ()
    """A judge of a run that several scored; where it has several judgings there, as JUDGE@DIGEST. Of one run, repeat it
    for each that is compared (all by default); of several, give one for all, or one for each in their order."""
    reference: str | None = None
    """Of one run: the judge whose answers are held to be right; by default the person, where one of two is."""
    out: Path | None = None
    """Of two judges of one run: write the first one's error rates to this file, which `score --calibration` takes."""
    vary: Annotated[tuple[str, ...], BeforeValidator(alone_or_several), Option(panel="Options")] = ()
    """An option of explain or score and the values to try, e.g. contrast=0,8; join the values of an option that is
    repeated with +, e.g. rendering=outline+crop. Repeat it for several options."""
    new_run: Annotated[Location | None, Option("--run", key="new_run", panel="Options")] = None
    """The folder in which the runs of --vary are made; the same one goes on after a stop."""
    dry_run: bool = False
    """Tell how many calls --vary takes, and ask nothing."""
    exchanges: Annotated[bool, Option(negative="--no-exchanges", panel="Output")] = True
    """Whether the runs of --vary keep what was asked, word for word, and each reply as it came."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""
    model: Annotated[
        ModelChoice,
        Group(
            options={"model": Option(env="AUTOINTERP_MODEL", help="The explainer of the runs that --vary makes.")},
        ),
    ] = ModelChoice()
    """The explainer."""
    judge: Annotated[ModelChoice, JUDGE] = ModelChoice()
    """The judge; without a name it is the explainer."""
    explain: Annotated[ExplainSettings, UNSTEERED] = ExplainSettings()
    """What the explainer is shown and asked."""
    score: ScoreSettings = ScoreSettings()
    """What the judge is shown and asked."""
    network: NetworkChoice = NetworkChoice()
    """What made the dump, for settings by which it is asked."""
    engine: EngineSettings = EngineSettings()
    """How the endpoint is used."""
    judging: Annotated[EngineSettings, JUDGE_ENGINE] = EngineSettings()
    """How the judge's endpoint is used."""


compare = Work(Compare, "autointerp.jobs.vary:run")
