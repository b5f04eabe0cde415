"""`autointerp train transcoder`: activations on disk, or any source of tokens, to a stored coder with its figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from autointerp.errors import SettingsError
from autointerp.jobs.storing import StoreSettings
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.config import CoderConfig, CoderForm, TrainSettings
from autointerp.transcoder.live import ImageSource
from autointerp.transcoder.losses import measure
from autointerp.transcoder.population import read_population
from autointerp.transcoder.storage import INFO, CoderInfo, HeldOut, Training, describe, load_coder, save_coder
from autointerp.transcoder.store import ActivationStore
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import Splitting, TokenSource
from autointerp.transcoder.trainer import Report, train

CHECKPOINT = "checkpoint.safetensors"
MEASURED = 131_072
"""Held-out tokens that the figures are of, at most about."""


class Trained(NamedTuple):
    """A coder on disk."""

    folder: Path
    info: CoderInfo


class Origin(NamedTuple):
    """What the tokens of a source are of."""

    source: str
    """In words or a path."""
    model: str
    reads: str
    """Hookpoint."""
    writes: str
    """Hookpoint."""


def train_transcoder(
    activations: str | Path,
    out: str | Path,
    *,
    form: CoderForm | None = None,
    settings: TrainSettings | None = None,
    side: Literal["inputs", "targets"] = "inputs",
    resume: bool = False,
    progress: Callable[[Report], None] | None = None,
) -> Trained:
    """Trains a transcoder or an autoencoder on stored activations, and measures it on image groups held out.

    Args:
        activations: Folder of a store.
        out: Folder to write.
        form: What to train; None is the Matryoshka transcoder with every default.
        settings: How.
        side: What an sae reads and writes.
        resume: Go on from the checkpoint in `out`, or begin where there is none.
        progress: Told every so many steps.

    Raises:
        SettingsError: the store, the folder, the form or a setting cannot be used.
    """
    form, settings = form or CoderForm(), settings or TrainSettings()
    store = ActivationStore(activations)
    about, one = store.about, side if form.kind == "sae" else "both"
    source = StoreSource(store, seed=settings.seed, held_out=settings.held_out, side=one)
    reads = (about.writes or about.reads) if one == "targets" else about.reads
    writes = reads if form.kind == "sae" else about.writes or about.reads
    origin = Origin(str(activations), about.backbone, reads, writes)
    config = sized(form, source.d_in, source.d_out)
    return train_from(
        source, out, config=config, settings=settings, origin=origin, resume=resume, progress=progress, test=source
    )


def train_on_images(
    images: str | Path,
    out: str | Path,
    *,
    backbone: str | Backbone = "dinov2-small",
    hookpoints: StoreSettings | None = None,
    labels: str | Path | None = None,
    form: CoderForm | None = None,
    settings: TrainSettings | None = None,
    side: Literal["inputs", "targets"] = "inputs",
    resume: bool = False,
    progress: Callable[[Report], None] | None = None,
) -> Trained:
    """The same straight from a backbone, which runs each image again in each epoch; nothing is stored.

    Args:
        images: Folder of images; all below it, or those that `labels` lists.
        out: Folder to write.
        backbone: A name as `load_backbone` takes it, or one that is loaded.
        hookpoints: What is read and written; of the other settings only `seed` and `batch` count.
        labels: CSV file with the columns path and label and perhaps group, which keeps images together in the split.
        form: What to train; None is the Matryoshka transcoder with every default.
        settings: How; also says where the backbone runs.
        side: What an sae reads and writes.
        resume: Go on from the checkpoint in `out`, or begin where there is none.
        progress: Told every so many steps.

    Raises:
        SettingsError: images, backbone, hookpoints, the folder, the form or a setting cannot be used.
    """
    form, settings, of = form or CoderForm(), settings or TrainSettings(), hookpoints or StoreSettings()
    model = load_backbone(backbone, seed=of.seed, device=settings.device) if isinstance(backbone, str) else backbone
    population = read_population(Path(images), labels=None if labels is None else Path(labels))
    writes = of.writes or of.reads
    source = ImageSource(
        model,
        population,
        reads=of.reads,
        writes=writes,
        seed=settings.seed,
        held_out=settings.held_out,
        side=side if form.kind == "sae" else "both",
        batch=of.batch,
    )
    one = {"inputs": of.reads, "targets": writes}[side]
    reads, writes = (one, one) if form.kind == "sae" else (of.reads, writes)
    origin = Origin(str(images), model.name, reads, writes)
    config = sized(form, source.d_in, source.d_out)
    return train_from(
        source, out, config=config, settings=settings, origin=origin, resume=resume, progress=progress, test=source
    )


def train_from(
    source: TokenSource,
    out: str | Path,
    *,
    config: CoderConfig,
    settings: TrainSettings,
    origin: Origin,
    test: Splitting | None = None,
    resume: bool = False,
    progress: Callable[[Report], None] | None = None,
) -> Trained:
    """The same from any source of tokens, such as a backbone that makes them on the way.

    Args:
        source: Tokens to learn from.
        out: Folder to write.
        config: What to train.
        settings: How.
        origin: What the tokens are of.
        test: Where held-out tokens come from; None measures nothing.
        resume: Go on from the checkpoint in `out`, or begin where there is none.
        progress: Told every so many steps.

    Raises:
        SettingsError: the folder or a setting cannot be used.
    """
    folder = Path(out)
    if not resume and ((folder / INFO).exists() or (folder / CHECKPOINT).exists()):
        raise SettingsError(f"{folder}: holds a coder already; give another folder, or --resume to go on with it")
    if (folder / INFO).exists():
        return _finished(folder, config, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be made: {error}") from error
    coder = train(config, source, settings, checkpoint=folder / CHECKPOINT, progress=progress)
    held_out = None
    if test is not None and settings.held_out:
        held_out = HeldOut(**measure(coder, test.held_out(settings.batch, MEASURED))._asdict())
    training = Training(source=origin.source, settings=settings, held_out=held_out)
    info = describe(config, model=origin.model, reads=origin.reads, writes=origin.writes, training=training)
    save_coder(coder, info, folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return Trained(folder, info)


def sized(form: CoderForm, d_in: int, d_out: int) -> CoderConfig:
    """The form with the model's sizes.

    Raises:
        SettingsError: the form does not go with them.
    """
    if form.kind == "sae" and d_in != d_out:
        raise SettingsError(f"--kind sae: writes what it reads, but the source has {d_in} and {d_out} channels")
    return CoderConfig(d_in=d_in, d_out=d_out, **dict(form))


def _finished(folder: Path, config: CoderConfig, settings: TrainSettings) -> Trained:
    info = load_coder(folder).info
    if info.config != config or info.training is None or info.training.settings != settings:
        raise SettingsError(f"{folder}: holds a finished coder of other settings; give another folder")
    return Trained(folder, info)
