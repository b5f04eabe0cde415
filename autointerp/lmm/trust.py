"""Which addresses and folders were given on this machine: a key and pictures go to no other."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from autointerp.errors import SettingsError, one_line, typed
from autointerp.lmm.address import checked_url, identity, is_loopback, same_place
from autointerp.lmm.route import api_key_name

VARIABLES = ("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL", "OPENAI_BASE_URL")
"""Environment variables that give addresses."""
TRUST = "--trust-address"
_FILE = "addresses"
"""Apart from the dumps, since where one is read from no key goes."""


def from_environment(names: Sequence[str]) -> tuple[str, ...]:
    """The addresses of the first of these variables that holds any.

    Raises:
        SettingsError: one of them cannot be used.
    """
    for name in names:
        if urls := dict.fromkeys(os.environ.get(name, "").replace(",", " ").split()):
            return tuple(checked_url(url, name) or "" for url in urls)
    return ()


def remember(base_urls: Iterable[str]) -> None:
    """Notes addresses that were given by an option or the environment, for later commands on this machine.

    Where the user has no folder for settings, or it cannot be written, nothing is noted: a later command that meets
    such an address in a run folder alone asks for a yes.
    """
    new = [url for url in dict.fromkeys(base_urls) if identity(url) is not None and not _noted(url)]
    if new:
        _note(_FILE, new)


def _note(name: str, urls: Sequence[str]) -> None:
    file = _file(name)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            # Processes that start together may each add the same line, which does no harm.
            out.write("".join(f"{url}\n" for url in urls))
    except OSError:
        return


def admit(
    base_urls: Iterable[str | None],
    *,
    named_by: str,
    confirmed: Iterable[str] = (),
    bare: bool = False,
    instead: str = "",
) -> None:
    """Refuses addresses that a run folder names and that nobody gave on this machine.

    Args:
        base_urls: the addresses; None is OpenAI's own, which needs no yes.
        named_by: what names them, in words.
        confirmed: addresses that the user says yes to; remembered.
        bare: whether a server on this machine may be asked without a yes as long as there is no key to send.
        instead: what else may be done, in words.

    Raises:
        SettingsError: an address that was not given here; the message names the option that says yes.
    """
    yes = [checked_url(url, TRUST) or "" for url in confirmed]
    remember(yes)
    for url in base_urls:
        if url is None or identity(url) is None or any(same_place(url, own) for own in yes):
            continue
        if bare and is_loopback(url) and api_key_name() is None:
            continue
        if not _noted(url) and not _in_environment(url):
            raise SettingsError(
                f"{named_by} names the server {one_line(url)}, which was never given on this machine; the pictures"
                f"{' and your API key' if api_key_name() else ''} would go there: if you trust it, give "
                f"{TRUST} {typed(one_line(url))} once{instead}"
            )


def remember_place(kind: Literal["dumps", "folders"], place: str | Path) -> None:
    """Notes the URL of a dump that was given on this machine, or a folder that commands of it write to."""
    if not is_known_place(kind, place):
        _note(kind, [_spelt(place)])


def is_known_place(kind: Literal["dumps", "folders"], place: str | Path) -> bool:
    """Whether the URL of a dump was given on this machine, or a command of it was told to write to a folder."""
    return _spelt(place) in _lines(kind)


def _spelt(place: str | Path) -> str:
    return str(place.absolute()) if isinstance(place, Path) else place


def _noted(base_url: str) -> bool:
    return any(same_place(base_url, line) for line in _lines(_FILE))


def _lines(name: str) -> list[str]:
    file = _file(name)
    try:
        return file.read_text("utf-8", "replace").splitlines() if file is not None else []
    except OSError:
        return []


def _in_environment(base_url: str) -> bool:
    return any(same_place(base_url, url) for name in VARIABLES for url in from_environment((name,)))


def _file(name: str) -> Path | None:
    """Where something is noted; None where the user has no home."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        # The XDG Base Directory Specification says to ignore a path that is not absolute.
        folder = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    except RuntimeError:
        return None
    return folder / "autointerp" / name
