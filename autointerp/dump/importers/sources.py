"""Finds the file or folder that an importer means among several below the one that was named."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autointerp.errors import DumpError, SettingsError

N_NAMED = 8
"""So many choices are named in a message."""


def one_of(
    source: Path,
    found: Sequence[Path],
    asked: str | None,
    what: str,
    *,
    names: Callable[[Path], tuple[str, ...]],
    option: str = "--layer",
) -> Path:
    """Returns the only one there is, or the one that was asked for.

    Args:
        source: the folder that was looked through.
        found: what there is.
        asked: the value of the option; None where it was not given.
        what: what was expected, for messages.
        names: what each may be called; the first is the one that messages use, or the second where two share the first.
        option: that says which one.

    Raises:
        DumpError: there is none.
        SettingsError: there are several, and none or more than one is meant.
    """
    if not source.exists():
        raise DumpError(f"{source}: there is no such file or folder; give what the tool wrote")
    if not found:
        raise DumpError(f"{source}: holds no {what.removeprefix('a ')}; give the folder that the tool wrote")
    if asked is None and len(found) == 1:
        return found[0]
    called = {path: names(path) for path in found}
    meant = [path for path, own in called.items() if asked in own]
    if len(meant) == 1:
        return meant[0]
    firsts = [own[0] for own in called.values()]
    plain = not meant and len(set(firsts)) == len(firsts)
    choices = sorted({own[0] if plain else own[1] for own in called.values()})
    listed = ", ".join(choices[:N_NAMED]) + (", …" if len(choices) > N_NAMED else "")
    if asked is None:
        raise SettingsError(f"{option}: {source} holds {len(found)}; name one of {listed}")
    raise SettingsError(f"{option} {asked}: {source} holds {'several' if meant else 'none'} of that name, but {listed}")
