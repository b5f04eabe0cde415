"""`autointerp train transcoder`: activations on disk, or any source of tokens, to a stored coder with its figures."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from autointerp.commands.train_transcoder import TrainTranscoder
from autointerp.counting import Counting, Uncounted
from autointerp.errors import SettingsError
from autointerp.pipeline import Stop
from autointerp.transcoder.backbones.registry import backbone_of
from autointerp.transcoder.coder_io import INFO, CoderInfo, Training, describe, load_coder, save_coder
from autointerp.transcoder.config import CoderConfig, CoderForm, TrainSettings
from autointerp.transcoder.image_tokens import ImageSource
from autointerp.transcoder.losses import measure
from autointerp.transcoder.population import read_population
from autointerp.transcoder.settings import BackboneName
from autointerp.transcoder.store import ActivationStore
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import Splitting, TokenSource
from autointerp.transcoder.trainer import Report, train

CHECKPOINT = "checkpoint.safetensors"
MEASURED = 131_072
"""Held-out tokens that the figures are of, at most about."""


class Trained(NamedTuple):
    """Describes a coder that was written."""

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


def run(settings: TrainTranscoder, *, progress: Counting | None = None) -> Trained:
    """Trains a transcoder or an autoencoder on stored activations, or straight from a backbone, and measures it.

    The figures are of image groups held out. With a backbone each image is run again in each epoch; nothing is stored.

    Args:
        settings: all that was asked for.
        progress: shows how far it is.

    Raises:
        SettingsError: the store, images, backbone, hookpoints, the folder or the form cannot be used.
    """
    if settings.backbone is None and settings.labels is not None:
        raise SettingsError("--labels: goes with --backbone; a store has its own groups")
    source, origin = (
        _of_store(settings)
        if settings.backbone is None
        else _of_images(settings, settings.backbone, progress or Uncounted())
    )
    stop = Stop()
    with stop.on_interrupt_without_loop():
        return train_from(
            source,
            settings.out,
            config=sized(settings.trained, source.d_in, source.d_out),
            settings=settings.settings,
            origin=origin,
            test=source,
            resume=settings.resume,
            progress=_telling(progress or Uncounted()),
            stopping=lambda: stop.reason is not None,
        )


def _of_store(settings: TrainTranscoder) -> tuple[StoreSource, Origin]:
    is_sae, how = settings.form.kind == "sae", settings.settings
    store = ActivationStore(settings.activations)
    about, one = store.about, settings.side if is_sae else "both"
    source = StoreSource(store, seed=how.seed, held_out=how.held_out, side=one)
    reads = (about.writes or about.reads) if one == "targets" else about.reads
    writes = reads if is_sae else about.writes or about.reads
    return source, Origin(str(settings.activations), about.backbone, reads, writes)


def _of_images(settings: TrainTranscoder, backbone: BackboneName, progress: Counting) -> tuple[ImageSource, Origin]:
    is_sae, how, of = settings.form.kind == "sae", settings.settings, settings.hookpoints
    model = backbone_of(backbone, seed=of.seed, device=how.device)
    population = read_population(settings.activations, labels=settings.labels)
    for one in population.left_out:
        progress.note(f"left out: {one}")
    writes = of.writes or of.reads
    source = ImageSource(
        model,
        population,
        reads=of.reads,
        writes=writes,
        seed=how.seed,
        held_out=how.held_out,
        side=settings.side if is_sae else "both",
        batch=of.batch,
    )
    one = {"inputs": of.reads, "targets": writes}[settings.side]
    reads, writes = (one, one) if is_sae else (of.reads, writes)
    return source, Origin(str(settings.activations), model.name, reads, writes)


def _telling(progress: Counting) -> Callable[[Report], None]:
    def tell(report: Report) -> None:
        losses = ", ".join(f"{name} {value:.4f}" for name, value in report.losses.items() if value)
        fvu = " ".join(f"{value:.3f}" for value in report.fvu)
        words = f"{losses} · fvu {fvu} · l0 {report.l0:.1f} · dead {report.dead_share:.1%}"
        progress.count("steps", report.step, report.steps, words)

    return tell


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
    stopping: Callable[[], bool] = lambda: False,
) -> Trained:
    """Trains a coder on any source of tokens, such as a backbone that makes them on the way.

    Args:
        source: Tokens to learn from.
        out: Folder to write.
        config: What to train.
        settings: How.
        origin: What the tokens are of.
        test: Where held-out tokens come from; None measures nothing.
        resume: Go on from the checkpoint in `out`, or begin where there is none.
        progress: Told every so many steps.
        stopping: Asked after each step whether to write a checkpoint and end.

    Raises:
        KeyboardInterrupt: it was to end.
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
    coder = train(config, source, settings, checkpoint=folder / CHECKPOINT, progress=progress, stopping=stopping)
    held_out = None
    if test is not None and settings.held_out:
        held_out = measure(coder, test.held_out(settings.batch, MEASURED))
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
