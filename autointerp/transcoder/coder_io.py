"""A coder on disk: weights in `coder.safetensors`, all else in `coder.json` beside it; never a pickle."""

from pathlib import Path
from typing import Literal, NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from autointerp.clock import now
from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.config import CoderConfig, TrainSettings
from autointerp.transcoder.files import read_record, read_tensors, written
from autointerp.transcoder.losses import HeldOut
from autointerp.transcoder.sparsify import CONFIG as SPARSIFY_CONFIG
from autointerp.transcoder.sparsify import load_sparsify
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
    config: CoderConfig
    training: Training | None = None


class StoredCoder(NamedTuple):
    """A coder and what is known of it."""

    coder: SparseCoder
    info: CoderInfo


def describe(
    config: CoderConfig, *, model: str, reads: str, writes: str, training: Training | None = None
) -> CoderInfo:
    """Makes the content of coder.json of a coder that is made now."""
    created_by = f"autointerp {__version__}"
    return CoderInfo(
        created=now(),
        created_by=created_by,
        model=model,
        reads=reads,
        writes=writes,
        config=config,
        training=training,
    )


def save_coder(coder: SparseCoder, info: CoderInfo, folder: str | Path) -> None:
    """Writes both files; the JSON last, without which there is no coder.

    Raises:
        SettingsError: the folder cannot be written.
    """
    target = Path(folder)
    with written(target / WEIGHTS) as path:
        target.mkdir(parents=True, exist_ok=True)
        save_file({k: t.contiguous() for k, t in coder.state_dict().items()}, path)
    with written(target / INFO) as path:
        path.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_coder(folder: str | Path) -> StoredCoder:
    """Reads a coder of this program, or one that sparsify wrote (`cfg.json` and `sae.safetensors`).

    Returns:
        The coder on the processor, not in training mode.

    Raises:
        SettingsError: there is none, a file is broken, or it is of a kind that cannot be loaded.
    """
    source = Path(folder)
    if not (source / INFO).exists() and (source / SPARSIFY_CONFIG).exists():
        config, tensors = load_sparsify(source)
        info = describe(config, model="unknown", reads=source.name, writes=source.name)
        return StoredCoder(_filled(config, tensors, source / SPARSIFY_CONFIG), info)
    none = (
        f"{source}: holds no coder, neither {INFO} nor sparsify's {SPARSIFY_CONFIG}; "
        "give a folder such as `autointerp train transcoder` writes"
    )
    info = read_record(source / INFO, CoderInfo, missing=none)
    path = source / WEIGHTS
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
