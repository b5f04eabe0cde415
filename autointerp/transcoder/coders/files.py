"""The files of another tool's coder: settings and weights by content; what is missing or wrong is said in one line."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.extras import need
from autointerp.pickles import attributes_of
from autointerp.transcoder.coders.torch_files import read_plain
from autointerp.transcoder.files import read_tensors

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pkl.gz", ".gz")
"""Endings of files with weights, those that are read first before others."""
SETTINGS = (".json", ".yaml", ".yml")
NO_CODERS = re.compile(r"optim|scheduler|trainer_state|activations_store|sparsity\.|log_feature|rng|whitening|buffer")
"""Files that tools write beside a coder."""
MOST_SETTINGS = 2**22
"""Bytes of a settings file."""
HEADER = 2**16
"""Bytes in which a file's first line ends, if settings stand there."""


class Fields(NamedTuple):
    """Settings of a tool, and where they stand."""

    path: Path
    values: Mapping[str, object]

    def text(self, name: str, default: str | None = None) -> str:
        """Returns a text.

        Raises:
            SettingsError: it is no text, or is missing and has no default.
        """
        found = self.values.get(name, default)
        if not isinstance(found, str):
            raise self.wrong(name, "a text")
        return found

    def name(self, name: str) -> str | None:
        """Returns a text, or None where there is none."""
        found = self.values.get(name)
        return found if isinstance(found, str) and found else None

    def count(self, name: str, default: int | None = None) -> int:
        """Returns a whole number of at least 1; otherwise as `text`."""
        found = self.values.get(name)
        found = default if found is None else found
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, Tensor) and found.numel() == 1 and not found.is_floating_point():
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self.wrong(name, "a whole number of at least 1")
        return found

    def number(self, name: str) -> float:
        """Returns a finite number; otherwise as `text`."""
        found = self.values.get(name)
        if isinstance(found, Tensor) and found.numel() == 1:
            found = float(found)
        if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
            raise self.wrong(name, "a number")
        return float(found)

    def flag(self, name: str, default: bool) -> bool:
        """Returns true or false; otherwise as `text`."""
        found = self.values.get(name)
        found = default if found is None else found
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false")
        return found

    def counts(self, name: str) -> tuple[int, ...]:
        """Returns several whole numbers of at least 1; otherwise as `text`."""
        found = self.values.get(name)
        if isinstance(found, Tensor):
            found = found.tolist()
        if not isinstance(found, list | tuple) or not found:
            raise self.wrong(name, "a list of whole numbers")
        return tuple(Fields(self.path, {name: n}).count(name) for n in found)

    def inner(self, name: str) -> "Fields":
        """Returns the settings under a name; empty where there are none."""
        return Fields(self.path, attributes_of(self.values.get(name)))

    def wrong(self, name: str, wanted: str) -> SettingsError:
        """Returns the complaint about a field."""
        said = f"is {self.values[name]!r}"[:80] if name in self.values else "is missing"
        return SettingsError(f"{self.path}: {name} {one_line(said)}, and should be {wanted}; mend it, or copy it again")


class Tensors(NamedTuple):
    """The weights of a file by name."""

    path: Path
    values: Mapping[str, Tensor]

    def get(self, name: str, *shape: int | None) -> Tensor:
        """Returns a tensor of a shape, of which None may be any number.

        Raises:
            SettingsError: it is missing, or has another shape.
        """
        if name not in self.values:
            raise SettingsError(f"{self.path}: has no {name}; copy it again from where it was written")
        found = self.values[name]
        fits = len(shape) == found.ndim and all(n in (None, m) for n, m in zip(shape, found.shape, strict=True))
        fits = fits and 0 not in found.shape
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise SettingsError(
                f"{self.path}: {name} is {list(found.shape)}, and by the settings and the other weights [{wanted}]; "
                "its settings are of another coder"
            )
        return found

    def dtype(self, name: str) -> str:
        """Returns the name of a tensor's type.

        Raises:
            SettingsError: it does not hold fractions.
        """
        found = self.values[name].dtype
        if not found.is_floating_point:
            raise SettingsError(f"{self.path}: {name} is of type {found}; weights should be floating-point numbers")
        return str(found).removeprefix("torch.")

    def maybe(self, name: str, *shape: int | None) -> Tensor | None:
        """Returns a tensor of a shape, or None where there is none of the name; otherwise as `get`."""
        return self.get(name, *shape) if name in self.values else None

    def has(self, *names: str) -> bool:
        """Says whether all of these are there."""
        return all(name in self.values for name in names)


def tensors_in(path: Path, values: Mapping[str, object]) -> dict[str, Tensor]:
    """Returns the tensors among some values.

    Raises:
        SettingsError: one states more numbers than it has.
    """
    found = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    # A pickle may set a tensor's sizes anew, so that it shows one number in many places.
    if wide := next((n for n, t in found.items() if t.nbytes > t.untyped_storage().nbytes()), None):
        raise SettingsError(f"{path}: {wide} states more numbers than it has; save it again with torch.save")
    return found


class WeightFile(NamedTuple):
    """What a file with weights holds."""

    path: Path
    content: object
    """A dictionary or a foreign object."""
    header: Fields | None = None
    """Settings in its first line."""

    def tensors(self, *inside: str) -> Tensors:
        """Returns the tensors of its dictionary, or of one inside it; empty where there is none.

        Raises:
            SettingsError: one states more numbers than it has.
        """
        return Tensors(self.path, tensors_in(self.path, self.fields(*inside).values))

    def fields(self, *inside: str) -> Fields:
        """Returns what its dictionary, or one inside it, holds."""
        found: object = self.content
        for name in inside:
            found = attributes_of(found).get(name)
        return Fields(self.path, attributes_of(found))


@dataclass(frozen=True)
class Files:
    """A folder, or one file in it, that may hold a coder.

    Args:
        given: the folder or the file.
    """

    given: Path

    @property
    def folder(self) -> Path:
        """Returns the folder."""
        return self.given.parent if self.given.is_file() else self.given

    @cached_property
    def settings(self) -> tuple[Fields, ...]:
        """Reads the settings files of the folder; above a folder of checkpoints those beside it.

        Raises:
            SettingsError: one cannot be read.
        """
        folders = [self.folder]
        if self.folder.resolve().name.startswith("checkpoint"):
            folders.append(self.folder.resolve().parent)
        for folder in folders:
            found = sorted(p for p in _listed(folder) if p.suffix in SETTINGS)
            if found:
                return tuple(fields for path in found if (fields := _settings(path)) is not None)
        return ()

    def weight_files(self) -> list[Path]:
        """Returns the files that may hold a coder's weights, the likelier first; of the same coder one.

        Of files of one name those in the earlier of `WEIGHTS` counts, `X_best` counts before `X`, and of
        `n_images_N` the last.
        """
        if self.given.is_file() and self.given.suffix not in SETTINGS:
            return [self.given]
        found = {p.name: p for p in _listed(self.folder) if p.name.endswith(WEIGHTS) and not NO_CODERS.search(p.name)}
        names = sorted(found, key=lambda name: (_rank(name), name))
        kept: dict[str, str] = {}
        for name in names:
            kept.setdefault(_stem(name), name)
        steps = sorted((s for s in kept if re.fullmatch(r"n_images_\d+", s)), key=lambda s: int(s[9:]))
        dropped = {*steps[:-1], *(s for s in kept if f"{s}_best" in kept)}
        return [found[name] for stem, name in kept.items() if stem not in dropped]


def read_weights(path: Path) -> WeightFile:
    """Reads a file with weights.

    Raises:
        SettingsError: it cannot be read, or holds what is not plain data.
    """
    if path.name.endswith(".safetensors"):
        return WeightFile(path, read_tensors(path, beside="its settings", remedy="copy it again"))
    header = _header(path)
    if header is None:
        return WeightFile(path, read_plain(path))
    length, fields = header
    return WeightFile(path, read_plain(path, skip=length), fields)


def _header(path: Path) -> tuple[int, Fields] | None:
    """Returns the length and the content of a first line of JSON."""
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{":
                return None
            file.seek(0)
            line = file.readline(HEADER)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return (len(line), Fields(path, found)) if isinstance(found, dict) else None


def _settings(path: Path) -> Fields | None:
    """Reads a settings file; None where it holds no dictionary."""
    try:
        if path.stat().st_size > MOST_SETTINGS:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}") from error
    try:
        found = json.loads(text) if path.suffix == ".json" else _yaml(path, text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: is broken: {one_line(str(error))[:200]}; copy it again") from error
    return Fields(path, found) if isinstance(found, dict) else None


def _yaml(path: Path, text: str) -> object:
    need(f"{path}: reading it", ("yaml",), "backbones")
    import yaml  # pyright: ignore[reportMissingModuleSource]

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _listed(folder: Path) -> Sequence[Path]:
    try:
        return [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be read: {error.strerror}; give a folder or file with a coder"
        ) from error


def _rank(name: str) -> int:
    return next(i for i, ending in enumerate(WEIGHTS) if name.endswith(ending))


def _stem(name: str) -> str:
    return name.removesuffix(WEIGHTS[_rank(name)])
