"""A coder on disk: weights in `coder.safetensors`, all else in `coder.json` beside it; and coders of other tools."""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor

from autointerp.clock import now
from autointerp.errors import SettingsError
from autointerp.record import Record, Several
from autointerp.transcoder.backbones.names import typed_backbone
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coders.hub import fetched
from autointerp.transcoder.coders.linear import LinearCoder, LinearConfig
from autointerp.transcoder.coders.loading import load_foreign
from autointerp.transcoder.files import is_none, read_record, read_tensors, written
from autointerp.transcoder.losses import HeldOut
from autointerp.transcoder.settings import CoderConfig, StoredConfig, TrainSettings
from autointerp.version import __version__

FORMAT = "autointerp-coder/1"
WEIGHTS = "coder.safetensors"
INFO = "coder.json"


class Training(Record):
    """Where a coder's weights come from."""

    source: str
    """What the tokens were read from."""
    settings: TrainSettings
    held_out: HeldOut | None
    """None where nothing was held out."""


class PartOf(Record):
    """Says which latents of a larger dictionary a coder holds."""

    widths: Several[int]
    """The nested prefixes of the whole."""
    latents: Several[int]
    """Its numbers of the latents that are here, ascending."""
    digest: str
    """SHA-256, hex, over all that the latents of the whole depend on."""


class CoderInfo(Record):
    """Is the content of coder.json."""

    format: Literal["autointerp-coder/1"] = FORMAT
    created: str
    """ISO 8601, UTC."""
    created_by: str
    """Program and version."""
    model: str
    """The backbone."""
    reads: str
    """Hookpoint of the inputs."""
    writes: str
    """Hookpoint of the targets; that of the inputs for an sae."""
    config: StoredConfig
    training: Training | None = None
    classifier: ClassifierRef | None = Field(default=None, exclude_if=is_none)
    """Whose network the hookpoints are of; None for the backbone alone."""
    part_of: PartOf | None = Field(default=None, exclude_if=is_none)
    """The whole that it is some latents of; None for a whole coder."""
    revision: str | None = Field(default=None, exclude=True)
    """The commit of the hub that it was read from; None for a folder. It is not written to disk."""


class ForeignInfo(Record):
    """Says what is known of another tool's coder."""

    model: str
    """The backbone, or `unknown`."""
    reads: str
    """Hookpoint of the inputs, or `unknown`."""
    writes: str
    """Hookpoint of the targets, or `unknown`; that of the inputs for an sae."""
    config: LinearConfig
    training: None = None
    classifier: None = None
    revision: str | None = None
    """The commit of the hub that it was read from; None for a folder."""
    note: str | None = None
    """What its files do not say and who uses it must know."""


class StoredCoder(NamedTuple):
    """A coder and what is known of it."""

    coder: SparseCoder | LinearCoder
    info: CoderInfo | ForeignInfo

    @property
    def format(self) -> str:
        """Returns the format of its files."""
        return self.info.format if isinstance(self.info, CoderInfo) else self.info.config.format


def describe(
    config: CoderConfig,
    *,
    model: str,
    reads: str,
    writes: str,
    training: Training | None = None,
    classifier: ClassifierRef | None = None,
) -> CoderInfo:
    """Makes the content of coder.json of a coder that is made now."""
    return CoderInfo(
        created=now(),
        created_by=f"autointerp {__version__}",
        model=model,
        reads=reads,
        writes=writes,
        config=config,
        training=training,
        classifier=classifier,
    )


def save_coder(coder: SparseCoder, info: CoderInfo, folder: str | Path) -> None:
    """Writes both files; the JSON last, without which there is no coder.

    Raises:
        SettingsError: the folder cannot be written.
    """
    target = Path(folder)
    with written(target / WEIGHTS) as path:
        save_file({k: t.contiguous() for k, t in coder.state_dict().items()}, path)
    with written(target / INFO) as path:
        path.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_coder(spec: str | Path, *, model: str | None = None, reads: str | None = None) -> StoredCoder:
    """Reads a coder of this program or of another tool, which is recognised by what its files hold.

    Args:
        spec: a folder, one of its files, or a name on the Hugging Face hub, `hub:OWNER/REPO[/FOLDER][@REVISION]`.
        model: the backbone, in place of what the files say, as somebody types it.
        reads: the hookpoint of the inputs, in place of what the files say.

    Returns:
        The coder on the processor, not in training mode.

    Raises:
        SettingsError: there is none, a file is broken, or it is of a kind that cannot be loaded.
    """
    source = fetched(spec)
    home = source.path.parent if source.path.name in (INFO, WEIGHTS) else source.path
    if (home / INFO).exists():
        stored = _own(home)
    elif (home / WEIGHTS).exists():
        raise SettingsError(f"{home}: holds no coder: {INFO} is missing beside {WEIGHTS}; train or copy it again")
    else:
        found = load_foreign(source.path) if source.path.exists() else None
        if found is None:
            raise SettingsError(_none(spec, source.path))
        about = ForeignInfo(
            model=found.model, reads=found.reads, writes=found.writes, config=found.coder.config, note=found.note
        )
        stored = StoredCoder(found.coder, about)
    return _placed(stored, model, reads, source.revision)


def _none(spec: str | Path, path: Path) -> str:
    if not path.exists():
        return f"{spec}: there is no such folder or file; give a coder's folder or hub:OWNER/REPO/FOLDER"
    return (
        f"{spec}: holds no coder, neither {INFO} nor weights of a tool that is known; "
        "give a folder such as `autointerp train transcoder` writes, or one of docs/bring-your-own.md"
    )


def _placed(stored: StoredCoder, model: str | None, reads: str | None, revision: str | None) -> StoredCoder:
    """Puts what was asked for in place of what the files say; an autoencoder writes where it reads."""
    said: dict[str, str | None] = {"revision": revision}
    if model is not None:
        said["model"] = typed_backbone(model)
    if reads is not None:
        said["reads"] = reads
        if stored.info.config.kind == "sae":
            said["writes"] = reads
    return StoredCoder(stored.coder, stored.info.model_copy(update=said))


def _own(folder: Path) -> StoredCoder:
    info = read_record(folder / INFO, CoderInfo, missing=f"{folder / INFO}: is missing")
    path = folder / WEIGHTS
    tensors = read_tensors(path, beside=INFO, remedy="train or copy it again")
    return StoredCoder(_filled(info.config, tensors, path), info)


def _filled(config: CoderConfig, tensors: dict[str, Tensor], path: Path) -> SparseCoder:
    coder = SparseCoder(config)
    expected = coder.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise SettingsError(f"{path}: has no {name}; train or copy it again")
        if tensors[name].shape != tensor.shape:
            raise SettingsError(
                f"{path}: {name} is {list(tensors[name].shape)}, and its description says {list(tensor.shape)}"
            )
    if strange := sorted(tensors.keys() - expected.keys()):
        raise SettingsError(f"{path}: has {strange[0]}, which its description does not know")
    coder.load_state_dict(tensors)
    return coder.eval()
