"""Coders on the Hugging Face hub: the files of one folder, kept in huggingface_hub's cache, of one commit."""

from pathlib import Path
from typing import NamedTuple

from autointerp.errors import SettingsError, excerpt
from autointerp.extras import need
from autointerp.transcoder.coders.files import NO_CODERS, SETTINGS, WEIGHTS

HUB = "hub:"
"""Before a name of the hub."""
FORM = "hub:OWNER/REPO[/FOLDER][@REVISION]"


class Fetched(NamedTuple):
    """A folder or file on this machine."""

    path: Path
    revision: str | None = None
    """The commit of the hub; None for what was here already."""


class Name(NamedTuple):
    """A name on the hub."""

    repo: str
    inside: str
    """A folder or file of the repository; empty for its top."""
    revision: str | None


def fetched(spec: str | Path) -> Fetched:
    """Returns the path of a coder, having fetched what is on the hub.

    Raises:
        SettingsError: the name is not of the form, or the hub does not give what it names.
    """
    if not str(spec).startswith(HUB):
        return Fetched(Path(spec))
    name = parsed(str(spec))
    need(f"--coder {spec}", ("huggingface_hub",), "backbones")
    return _fetched(str(spec), name)


def parsed(spec: str) -> Name:
    """Takes a name of the hub apart.

    Raises:
        SettingsError: it is not of the form.
    """
    path, _, revision = spec.removeprefix(HUB).partition("@")
    parts = path.strip("/").split("/")
    if len(parts) < 2 or not all(parts) or ".." in parts:
        raise SettingsError(f"--coder {spec}: should be {FORM}")
    return Name("/".join(parts[:2]), "/".join(parts[2:]), revision or None)


def _fetched(spec: str, name: Name) -> Fetched:
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download  # pyright: ignore[reportMissingImports]
    from huggingface_hub.errors import (  # pyright: ignore[reportMissingImports]
        HfHubHTTPError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    )

    try:
        try:
            info = HfApi().model_info(name.repo, revision=name.revision)
        except HfHubHTTPError:
            raise
        except (OSError, HTTPError):
            # The hub cannot be reached; what an earlier run has fetched from it is good.
            root = Path(snapshot_download(name.repo, revision=name.revision, local_files_only=True))
            return Fetched(root / name.inside, root.name)
        commit = str(info.sha)
        wanted = _wanted(spec, name, [s.rfilename for s in info.siblings or ()])
        paths = [Path(hf_hub_download(name.repo, file, revision=commit)) for file in wanted]
    except (HTTPError, HFValidationError, OSError) as error:
        said = excerpt(str(error).partition("\n")[0])
        raise SettingsError(f"--coder {spec}: {said}; check the name, the network and your access to it") from error
    root = next(p for p in paths[0].parents if p.name == commit)
    return Fetched(root / name.inside, commit)


def _wanted(spec: str, name: Name, files: list[str]) -> list[str]:
    """Returns the files of the folder, or the file and the settings beside it, that a coder may be of."""
    folder = name.inside
    if name.inside in files:
        folder = name.inside.rpartition("/")[0]
    beside = [f for f in files if f.rpartition("/")[0] == folder]
    weights = [f for f in beside if f.endswith(WEIGHTS) and not NO_CODERS.search(f.rpartition("/")[2])]
    if name.inside in files:
        weights = [name.inside]
    if not weights:
        folders = sorted({f.rpartition("/")[0] for f in files if f.endswith(WEIGHTS)} - {""})
        said = (
            f"it has {', '.join(folders[:5])}{', …' if len(folders) > 5 else ''}" if folders else "nor elsewhere in it"
        )
        raise SettingsError(f"--coder {spec}: has no weights there; {said}")
    return weights + [f for f in beside if f.endswith(SETTINGS) and f not in weights]
