"""Names of images that differ, where files, rows and archives may call several the same."""

import os
from collections import Counter
from collections.abc import Callable, Sequence

from autointerp.errors import SettingsError, one_line


def apart(root: str, names: Sequence[str], of: Callable[[int], str]) -> list[str]:
    """The names; where two images share one, each name also says of what its image is.

    Args:
        root: what holds the images, for messages.
        names: with slashes.
        of: what the image at a position is told apart by, such as its archive: it goes before the last part.

    Raises:
        SettingsError: two images cannot be told apart.
    """
    if len(set(names)) == len(names):
        return list(names)
    out = [_prefixed(name, of(i)) for i, name in enumerate(names)]
    if len(set(out)) < len(out):
        twice = next(name for name, n in Counter(out).items() if n > 1)
        raise SettingsError(f"{root}: holds {one_line(twice)[:200]!r} twice; give each image a name of its own")
    return out


def _prefixed(name: str, by: str) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{by}.{base}"


def folder_of_all(names: Sequence[str]) -> str:
    """The innermost folder that holds all names, with a slash at its end; nothing where there is none."""
    folders = sorted({tuple(name.split("/")[:-1]) for name in names})
    shared: list[str] = []
    # What the first and the last in order begin with, all begin with.
    for one, other in zip(folders[0], folders[-1], strict=False) if folders else ():
        if one != other:
            break
        shared.append(f"{one}/")
    return "".join(shared)


def below(places: Sequence[str]) -> list[str]:
    """The paths, with slashes, below the innermost folder that holds all of them."""
    plain = [place.replace(os.sep, "/") for place in places]
    above = len(folder_of_all(plain))
    return [place[above:] for place in plain]
