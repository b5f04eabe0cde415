"""Which of the images that are given a recording is of: counts that do not fit stop the import, nothing is assumed."""

from autointerp.errors import SettingsError
from autointerp.transcoder.recorded.events import Asked


def n_covered(stated: int | None, asked: Asked, where: str, *, expected: int | None = None) -> int | None:
    """Returns how many images were run, the first so many of those given; None where nobody says.

    Args:
        stated: what the files say; None where they do not.
        asked: what the command says.
        where: the files, for messages.
        expected: how many the tool would have run of the images that are given, if it leaves some out.

    Raises:
        SettingsError: the files and the command do not agree on it.
    """
    if stated is not None and asked.n_run not in (None, stated):
        raise SettingsError(f"--population {asked.n_run}: {where} holds activations of {stated:,} images; leave it out")
    n_run = asked.n_run if stated is None else stated
    if n_run is None:
        return None
    if n_run > asked.n_images:
        raise SettingsError(
            f"--images: {where} has activations of {n_run:,} images, and there are {asked.n_images:,}; give those that "
            "were run, in the same order"
        )
    if n_run < asked.n_images and asked.n_run is None and n_run != expected:
        raise SettingsError(
            f"--images: {where} has activations of {n_run:,} images, and there are {asked.n_images:,}; give those that "
            f"were run, or --population {n_run} if they are the first ones"
        )
    return n_run


def check_seen(last: int, asked: Asked, where: str) -> None:
    """Sees that all images were run where only activations tell: the last one that is given has some.

    Args:
        last: the highest image with an activation; -1 without any.
        asked: what the command says.
        where: the files, for messages.

    Raises:
        SettingsError: there are more images than that, and nobody says that they were run.
    """
    if last + 1 != asked.n_images:
        raise SettingsError(
            f"--images: {where} does not say how many images were run; the last one with an activation is number "
            f"{last + 1:,}, and there are {asked.n_images:,}; give those that were run, or --population with how many "
            "of them, the first ones, were"
        )


def rest_note(n_run: int, asked: Asked, why: str) -> tuple[str, ...]:
    """Says how many of the images that are given were not run."""
    n_rest = asked.n_images - n_run
    return (f"{n_rest:,} images at the end of the {asked.n_images:,} {why}",) if n_rest else ()
