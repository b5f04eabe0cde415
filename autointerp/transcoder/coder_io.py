"""A coder on disk: weights in `coder.safetensors`, all else in `coder.json` beside it; never a pickle."""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from autointerp.clock import now
from autointerp.errors import SettingsError, one_line
from autointerp.record import Record
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.config import CoderConfig, TrainSettings
from autointerp.transcoder.sparsify import CONFIG as SPARSIFY_CONFIG
from autointerp.transcoder.sparsify import load_sparsify
from autointerp.version import __version__

FORMAT = "autointerp-coder/1"
WEIGHTS = "coder.safetensors"
INFO = "coder.json"


class HeldOut(Record):
    """Figures on image groups that training never saw."""

    tokens: int
    fvu: tuple[float, ...]
    """Fraction of variance unexplained, of each width."""
    l0: tuple[float, ...]
    """Latents that are on in each prefix, a token."""
    dead_share: float
    """Share of latents that none of the tokens turns on."""


class Training(Record):
    """Where a coder's weights come from."""

    source: str
    """What the tokens were read from."""
    settings: TrainSettings
    held_out: HeldOut | None
    """None where nothing was held out."""


class CoderInfo(Record):
    """Content of coder.json."""

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
    """What coder.json says of a coder that is made now."""
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
    try:
        target.mkdir(parents=True, exist_ok=True)
        save_file({k: t.contiguous() for k, t in coder.state_dict().items()}, target / f".{WEIGHTS}")
        (target / f".{INFO}").write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for name in (WEIGHTS, INFO):
            (target / f".{name}").replace(target / name)
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"{target}: cannot be written: {one_line(str(error))}") from error


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
    info = _load_info(source)
    path = source / WEIGHTS
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise SettingsError(f"{path}: is missing; it belongs beside {INFO}") from None
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}; train or copy it again") from error
    return StoredCoder(_filled(info.config, tensors, path), info)


def _load_info(folder: Path) -> CoderInfo:
    path = folder / INFO
    try:
        return CoderInfo.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{folder}: holds no coder, neither {INFO} nor sparsify's {SPARSIFY_CONFIG}; "
            "give a folder such as `autointerp train transcoder` writes"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {where + ': ' if where else ''}{one_line(first['msg'])}") from error


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
