"""Which scoring settings are admitted: scorers that exist, enough images, options that are not idle."""

from collections.abc import Sequence

from autointerp.errors import SettingsError
from autointerp.scoring.judge import JUDGE
from autointerp.scoring.scorer_list import SCORERS
from autointerp.settings import ModelSettings, ScoreSettings


def named_scorers(settings: ScoreSettings) -> tuple[str, ...]:
    """The scorers asked for, each once.

    Raises:
        SettingsError: there is none, or one that does not exist.
    """
    unknown = [name for name in settings.scorers if name not in SCORERS]
    if unknown:
        raise SettingsError(f"--scorers {unknown[0]}: no such scorer; there is {', '.join(SCORERS)}")
    names = tuple(dict.fromkeys(settings.scorers))
    if not names:
        raise SettingsError(f"--scorers: no scorer is named; there is {', '.join(SCORERS)}")
    return names


def refuse_too_few(scorers: tuple[str, ...], settings: ScoreSettings) -> None:
    """Refuses settings under which every feature would be unscored, and its evidence blamed for it.

    Raises:
        SettingsError: naming the option and what it should be at least.
    """
    n, least = settings.n_active, settings.min_active
    judging = [SCORERS[name] for name in scorers if SCORERS[name].task is JUDGE]
    if n < least and judging:
        raise SettingsError(f"--active {n}: too few for a score; give at least {least}")
    if settings.interval is not None:
        refuse_idle_interval(settings)
    if settings.budget_per_feature is not None:
        refuse_idle_budget(settings)
    if settings.guide == "text":
        _refuse_idle_guide(settings, judged=bool(judging))
    n, least = settings.n_silent, settings.min_silent
    if n < least and (both := [s.name for s in judging if s.sides == "both"]):
        raise SettingsError(f"--silent {n}: too few for {both[0]}; give at least {least}, or --scorers without it")
    # Each of these is of no use with fewer images than make a score.
    least = max(2, settings.min_active)
    for scorer, option, n in (
        ("localisation", "--n-localisation", settings.n_localisation),
        ("embedding", "--n-embedding", settings.n_embedding),
        ("causal", "--n-causal", settings.n_causal),
    ):
        if n < least and scorer in scorers:
            raise SettingsError(f"{option} {n}: too few for {scorer}; give at least {least}, or --scorers without it")


def refuse_pictures(scorers: Sequence[str], settings: ScoreSettings) -> None:
    """Refuses an image model that nobody would ask, and a scorer that has none to ask.

    Raises:
        SettingsError: naming the option to add.
    """
    wanted = next((name for name in scorers if SCORERS[name].needs_pictures), None)
    if wanted is not None and settings.pictures is None:
        raise SettingsError(
            f"--scorers {wanted}: name who makes pictures with --image-model, and the server with --image-base-url"
        )
    if wanted is None and settings.pictures is not None:
        raise SettingsError("--image-model: no scorer that is named has pictures made; add --scorers generation")


def screeners(settings: ScoreSettings) -> tuple[str, ...]:
    """The further models that are asked at the judge's server."""
    return (settings.screen_model,) if settings.screen_model is not None else ()


def refuse_screener(settings: ScoreSettings, judge: ModelSettings) -> None:
    """Refuses settings under which the screening model would be idle, or be asked where it is not.

    Raises:
        SettingsError: naming the option to change.
    """
    if settings.screen_model is None:
        return
    if not settings.n_screen:
        raise SettingsError("--screen-model without --screen: say how many silent images it screens, e.g. --screen 400")
    if not (judge.model.has_server and settings.screen_model.has_server):
        raise SettingsError(
            f"--screen-model {settings.screen_model}: screens at the judge's server, so neither is local or a person"
        )


def wants_embedder(settings: ScoreSettings, scorers: Sequence[str]) -> bool:
    """Whether something is embedded: for a scorer, or to draw images by likeness to the text.

    Args:
        settings: of the stage.
        scorers: names; one that does not exist wants nothing, and is refused elsewhere.
    """
    chosen = [s for name, s in SCORERS.items() if name in scorers]
    return any(s.needs_embedder or (settings.guide == "text" and s.task is JUDGE) for s in chosen)


def wants_encoder(scorers: Sequence[str]) -> str | None:
    """The first scorer that asks the network that made the dump; None where none does."""
    return next((name for name, s in SCORERS.items() if name in scorers and s.needs_encoder), None)


def asks_judge(scorers: Sequence[str]) -> bool:
    """Whether a scorer asks a model anything."""
    return any(s.task is not None for name, s in SCORERS.items() if name in scorers)


def _refuse_idle_guide(settings: ScoreSettings, *, judged: bool) -> None:
    if settings.n_screen:
        raise SettingsError("--guide text with --screen: a screening chooses its images itself; give one of them")
    if not judged:
        raise SettingsError("--guide text: no scorer that is named judges silent images, such as detection")


def refuse_idle_interval(settings: ScoreSettings) -> None:
    """Refuses settings under which the interval asked for would be ignored.

    Raises:
        SettingsError: naming the option to change.
    """
    if settings.n_screen:
        raise SettingsError("--interval with --screen: judging on goes without a screening; give one of them")
    calls = _first_calls(settings)
    if calls >= settings.max_calls:
        raise SettingsError(
            f"--max-calls {settings.max_calls}: the first round alone takes {calls} calls; give more, "
            "or fewer images by --active and --silent"
        )


def refuse_idle_budget(settings: ScoreSettings) -> None:
    """Refuses settings under which a budget for each feature would be ignored, or be spent before judging on.

    Raises:
        SettingsError: naming the option to change.
    """
    budget, calls = settings.budget_per_feature, _first_calls(settings)
    assert budget is not None
    if settings.n_screen:
        raise SettingsError("--budget-per-feature with --screen: a screening has its own numbers; give one of them")
    if budget < calls:
        raise SettingsError(
            f"--budget-per-feature {budget}: --active and --silent alone take {calls} calls; give at least as many, "
            "or fewer images"
        )
    if settings.interval is not None and budget >= settings.max_calls:
        raise SettingsError(
            f"--budget-per-feature {budget}: leaves no call to judge on with --interval; give more by --max-calls, or "
            "a smaller budget"
        )


def _first_calls(settings: ScoreSettings) -> int:
    return -(-(settings.n_active + settings.n_silent) // settings.per_call)
