"""A pack on disk: written once, and read as something that a stranger has sent."""

import hashlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from autointerp.errors import SettingsError, one_line
from autointerp.generators.records import PACK_FORMAT, FileRef, Pack

PACK_FILE = "pack.json"
CODER, CLASSIFIER, STRIPS = "coder", "classifier", "strips"
README = "README.md"
_KNOWN = re.compile(
    r"README\.md"
    r"|coder/coder\.(?:json|safetensors)"
    r"|classifier/(?:classifier\.(?:json|safetensors)|backbone\.safetensors)"
    r"|strips/[a-z0-9][a-z0-9-]{0,63}\.jpg"
)
"""The only files that a pack may hold besides pack.json."""
MOST_TEXT, MOST_WEIGHTS, MOST_PICTURE = 16 << 20, 8 << 30, 16 << 20
"""Bytes of a text, of weights and of a picture, at most."""


class OpenedPack(NamedTuple):
    """A pack that was read, and whose files are those that it names."""

    folder: Path
    pack: Pack
    digest: str
    """SHA-256, hex, of pack.json, which holds the digests of all other files."""


def finish_pack(folder: Path, pack: Pack) -> None:
    """Writes pack.json last, with the digests of all files that lie in the folder."""
    files = {
        path.relative_to(folder).as_posix(): FileRef(sha256=digest_of_file(path), size=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert all(_KNOWN.fullmatch(name) for name in files), "a pack holds known files alone"
    text = pack.model_copy(update={"files": files}).model_dump_json(indent=2) + "\n"
    (folder / PACK_FILE).write_text(text, encoding="utf-8")


def open_pack(folder: Path) -> OpenedPack:
    """Reads a pack, and sees that every file is there, is a plain file, and is the one that pack.json names.

    Raises:
        SettingsError: it is none, of another version, or has been changed.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder}: there is no such folder; give a pack that `autointerp benchmark make` wrote")
    path = folder / PACK_FILE
    text = _plain_file(path, MOST_TEXT)
    try:
        pack = Pack.model_validate_json(text)
    except ValidationError as e:
        raise SettingsError(_why(path, e)) from e
    for name, ref in pack.files.items():
        _check_file(folder, name, ref)
    _check_features(path, pack)
    return OpenedPack(folder, pack, hashlib.sha256(text).hexdigest())


def _why(path: Path, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if where == "format":
        return f"{path}: is not of the format {PACK_FORMAT}, which this version reads; make the pack again or upgrade"
    return f"{path}: {where + ': ' if where else ''}{one_line(first['msg'])}; get the pack again"


def _check_file(folder: Path, name: str, ref: FileRef) -> None:
    path = folder / name
    if not _KNOWN.fullmatch(name):
        raise SettingsError(f"{folder / PACK_FILE}: names the file {name!r}, which is none of a pack's; do not use it")
    most = MOST_WEIGHTS if name.endswith(".safetensors") else MOST_PICTURE if name.endswith(".jpg") else MOST_TEXT
    if ref.size > most:
        raise SettingsError(f"{path}: is said to have {ref.size:,} bytes, and a pack has at most {most:,} there")
    if _size(path) != ref.size or digest_of_file(path) != ref.sha256:
        raise SettingsError(f"{path}: is not the file that {PACK_FILE} names; get the pack again")


def _check_features(path: Path, pack: Pack) -> None:
    """Sees that modes speak of the pack's features, and all columns of the coder's latents, each once."""
    columns = pack.columns
    if len(set(columns)) < len(columns) or max(columns) >= pack.coder.n_latents:
        raise SettingsError(f"{path}: features: a latent stands twice, or the coder has none of its number")
    known = {f.feature for f in pack.features}
    if strange := next((f for m in pack.modes for f in m.features if f not in known), None):
        raise SettingsError(f"{path}: modes: name the feature {strange}, which is not among the features")
    ids = [m.id for m in pack.modes]
    if twice := next((i for i in ids if ids.count(i) > 1), None):
        raise SettingsError(f"{path}: modes: {twice} stands twice; get the pack again")
    if missing := next((m.category for m in pack.modes if m.category not in pack.categories), None):
        raise SettingsError(f"{path}: categories: say nothing of {missing!r}, which a mode has; get the pack again")


def _size(path: Path) -> int:
    """The size of a plain file; a link, a device or a pipe is none."""
    try:
        found = path.lstat()
        above = path.parent.lstat()
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}; get the pack again") from e
    if not stat.S_ISREG(found.st_mode) or not stat.S_ISDIR(above.st_mode):
        raise SettingsError(f"{path}: is a link or no plain file; a pack holds its files themselves")
    return found.st_size


def _plain_file(path: Path, most: int) -> bytes:
    # The folder itself may be a link that the user made.
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give a pack that `autointerp benchmark make` wrote") from None
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}") from e
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        raise SettingsError(f"{path}: is no plain file of at most {most:,} bytes, as that of a pack is")
    try:
        return path.read_bytes()
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}") from e


def digest_of_file(path: Path) -> str:
    """Returns the SHA-256, hex, of a file.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}") from e


def readme_of(pack: Pack) -> Iterator[str]:
    """Writes what the pack is about, for people."""
    held = pack.held_out
    yield f"# {pack.name}: {len(pack.modes)} failure modes\n"
    yield (
        f"A pack for `autointerp benchmark run`, made by {pack.created_by} on {pack.created[:10]} from the run "
        f"{pack.origin.run}. Its features read {pack.coder.reads} of {pack.backbone.name}. Rates are of "
        f"{held.n_measuring} held-out images, with and without “{held.attribute}”.\n"
    )
    yield "| mode | category | features | with the attribute | without |\n|---|---|---|---|---|"
    for mode in pack.modes:
        rates = (mode.with_attribute, mode.without_attribute)
        shown = " | ".join(f"{r.value:.1%} [{r.low:.1%}, {r.high:.1%}]" for r in rates)
        yield f"| {_cell(mode.name)} | {_cell(mode.category)} | {len(mode.features)} | {shown} |"
    yield ""
    yield from (f"- {note}" for note in pack.notes)


def _cell(text: str) -> str:
    return re.sub(r"[|<>\s]+", " ", text)
