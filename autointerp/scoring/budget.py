"""How many images of a feature are judged first: as the settings say, or as many as suit how rarely it fires."""

from autointerp.settings import ScoreSettings

WIDTH = 0.2
"""The width of the interval that a budget aims at, where none is asked for."""
MOST = 2**53
"""Images; more than any population has."""
UNSEEN = 2.5
"""Of n images without a false yes, up to UNSEEN / n of all silent ones may fit: Jeffreys' bound at 97.5 %."""

RECALL = 1.15
"""So many times as many are needed, since 24 active images leave a part of the width to recall."""


def first_round(settings: ScoreSettings, n_active: int, n_images: int) -> tuple[int, int]:
    """How many active and how many silent images are judged first.

    With a budget for each feature the silent ones are as many as a right explanation needs for an interval of `WIDTH`
    (or of what `--interval` asks for), never fewer than without it, and at most what the calls of the budget hold.

    Args:
        settings: of the scoring.
        n_active: the images of the population on which the feature fires.
        n_images: all images of the population.
    """
    if settings.budget_per_feature is None:
        return settings.n_active, settings.n_silent
    odds = max(n_images - n_active, 0) / max(n_active, 1)
    room = settings.budget_per_feature * settings.per_call - settings.n_active
    wanted = max(settings.n_silent, silent_for(odds, settings.interval or WIDTH))
    return settings.n_active, min(wanted, max(room, settings.n_silent))


def most_asked(settings: ScoreSettings, scorer: str) -> int:
    """The most that a scorer first asks of one feature, without controls.

    Args:
        settings: of the scoring.
        scorer: its name.

    Returns:
        Images for `detection` and `accuracy`, questions for the others; 0 for a scorer that asks nobody.
    """
    s = settings
    images = max(s.n_active + s.n_silent, (s.budget_per_feature or 0) * s.per_call)
    return {
        "detection": images,
        "accuracy": s.n_active,
        "choice": 2 * s.n_choice,
        "intruder": s.n_intruder + s.n_intruder_hard,
        "naming": s.n_naming,
        "localisation": s.n_localisation,
    }.get(scorer, 0)


def in_words(settings: ScoreSettings, scorer: str) -> str:
    """What `most_asked` counts, such as `up to 60 images`."""
    unit = "images" if scorer in ("detection", "accuracy", "localisation") else "questions"
    return f"up to {most_asked(settings, scorer):,} {unit}"


def silent_for(odds: float, width: float) -> int:
    """How many silent images without a false yes make the interval of a right explanation so narrow.

    With n of them F1 may be as low as 2 / (2 + odds · UNSEEN / n) by its precision alone; recall takes its part.

    Args:
        odds: the number of silent images for each active one.
        width: between 0 and 1.
    """
    needed = RECALL * UNSEEN * odds * (1 - width) / (2 * width)
    # For a width of next to nothing it may be infinite.
    return round(min(needed, MOST))
