"""Datasets of the Hugging Face hub, fetched once by its own libraries, of one commit."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autointerp.errors import SettingsError, excerpt
from autointerp.extras import need
from autointerp.populations.labels import Labelling
from autointerp.populations.listing import Found
from autointerp.populations.rows import ArrowRows, in_rows

if TYPE_CHECKING:
    from datasets import Dataset  # pyright: ignore[reportMissingImports]

HUB = "hub-dataset:"
"""Before a name of the hub."""
FORM = "hub-dataset:OWNER/NAME[@REVISION][:[CONFIGURATION/]SPLIT]"


class Name(NamedTuple):
    """A dataset on the hub."""

    repo: str
    revision: str | None
    configuration: str | None
    split: str | None

    def __str__(self) -> str:
        return f"{HUB}{self.repo}{f'@{self.revision}' if self.revision else ''}" + self.part

    @property
    def part(self) -> str:
        """The end of the name, which says what part of the dataset is meant."""
        if self.split is None:
            return ""
        return f":{self.configuration}/{self.split}" if self.configuration else f":{self.split}"


def parsed(text: str) -> Name:
    """Takes a name of the hub apart.

    Raises:
        SettingsError: it is not of the form.
    """
    rest, colon, part = text.removeprefix(HUB).partition(":")
    repo, at, revision = rest.partition("@")
    configuration, _, split = part.rpartition("/")
    owner, _, name = repo.partition("/")
    if not (owner and name) or "/" in name or (at and not revision) or (colon and not split):
        raise SettingsError(f"{text}: should be {FORM}")
    return Name(repo, revision or None, configuration or None, split or None)


def in_hub(text: str, how: Labelling) -> Found:
    """Fetches a dataset, unless its files are here already, and lists the images of one split.

    Raises:
        SettingsError: the name is not of the form, the hub does not give what it names, or it has several splits.
    """
    name = parsed(text)
    need(text, ("datasets", "huggingface_hub"), "datasets")
    pinned = name._replace(revision=_commit(text, name))
    data, split = _one_split(text, _loaded(text, pinned))
    files = [ArrowRows(Path(str(one["filename"]))) for one in data.cache_files]
    # Whoever wrote the data set does not say which other files of this machine are read.
    return in_rows(str(pinned._replace(split=name.split or split)), files, how, inside=_caches())


def _caches() -> list[Path]:
    """The folders in which the hub's libraries keep what they fetch."""
    from datasets.config import HF_DATASETS_CACHE  # pyright: ignore[reportMissingImports]
    from huggingface_hub.constants import HF_HOME, HF_HUB_CACHE  # pyright: ignore[reportMissingImports]

    return [Path(folder) for folder in (HF_HOME, HF_HUB_CACHE, HF_DATASETS_CACHE)]


def _commit(text: str, name: Name) -> str | None:
    """The commit that a name means now; as it was typed where the hub cannot be reached."""
    from huggingface_hub import HfApi  # pyright: ignore[reportMissingImports]
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # pyright: ignore[reportMissingImports, reportPrivateImportUsage]

    try:
        return str(HfApi().dataset_info(name.repo, revision=name.revision).sha)
    except HfHubHTTPError as error:
        raise _refused(text, error) from error
    except (OSError, HTTPError):
        # What an earlier run has fetched is good; `datasets` says so itself.
        return name.revision


def _loaded(text: str, name: Name) -> object:
    from datasets import load_dataset  # pyright: ignore[reportMissingImports]

    try:
        return load_dataset(name.repo, name.configuration, split=name.split, revision=name.revision)
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise _refused(text, error) from error


def _refused(text: str, error: Exception) -> SettingsError:
    said = excerpt(str(error).partition("\n")[0])
    return SettingsError(f"{text}: {said}; check the name, the network and your access to it")


def _one_split(text: str, loaded: object) -> tuple["Dataset", str | None]:
    """The only split, and its name where the user did not say it."""
    if not isinstance(loaded, Mapping):
        return loaded, None  # pyright: ignore[reportReturnType]
    if len(loaded) != 1:
        names = ", ".join(map(str, loaded))
        raise SettingsError(f"{text}: has the splits {names}; name one, such as {text}:{next(iter(loaded), 'train')}")
    split, data = next(iter(loaded.items()))
    return data, str(split)
