"""`autointerp train transcoder`: activations on disk, or any source of tokens, to a stored coder with its figures."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from autointerp.commands.train_transcoder import TrainTranscoder
from autointerp.counting import Counting, Uncounted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.jobs.stores import open_store
from autointerp.options import Settings
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.populations.images import read_population
from autointerp.remote.path import as_path
from autointerp.transcoder.backbones.headed import check_same, network_of
from autointerp.transcoder.classifier import ClassifierRef, same_network
from autointerp.transcoder.coder_io import INFO, CoderInfo, Training, describe, load_coder, save_coder
from autointerp.transcoder.losses import measure
from autointerp.transcoder.settings import CoderConfig, CoderForm, TrainSettings
from autointerp.transcoder.store import MANIFEST
from autointerp.transcoder.stream import ImageSource, StoreSource
from autointerp.transcoder.trainer import Report, stored_settings, train

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
    classifier: ClassifierRef | None
    """Whose network they were read from."""


def run(settings: TrainTranscoder, *, progress: Counting | None = None) -> Trained:
    """Trains a transcoder or an autoencoder on stored activations, or straight from a backbone, and measures it.

    The figures are of image groups held out. With a backbone each image is run again in each epoch; nothing is stored.

    Raises:
        SettingsError: the store, images, backbone, hookpoints, the folder or the form cannot be used.
    """
    settings = _continued(settings)
    # With --classifier the folder is of images, unless its manifest shows that it is a store.
    of_store = settings.backbone is None and (settings.classifier is None or _is_store(settings.activations))
    if of_store and settings.labels is not None:
        raise SettingsError("--labels: goes with --backbone or --classifier; a store has its own groups")
    progress, stop = progress or Uncounted(), Stop()
    source, origin = (_of_store if of_store else _of_images)(settings, progress)
    with stop.on_interrupt_without_loop():
        return _trained(settings, source, origin, progress, stop)


def _is_store(where: object) -> bool:
    return isinstance(where, str) and (as_path(where) / MANIFEST).is_file()


def _continued(settings: TrainTranscoder) -> TrainTranscoder:
    """Returns the settings that training in the folder began with, whatever the defaults are now, under those given."""
    checkpoint, form, how = settings.out / CHECKPOINT, settings.trained, settings.settings
    if not settings.resume:
        return settings
    if (settings.out / INFO).exists():
        info = load_coder(settings.out).info
        config, then = info.config, None if info.training is None else info.training.settings
    elif checkpoint.exists():
        stored = stored_settings(checkpoint)
        config, then = stored.config, stored.settings
    else:
        return settings
    how = how if then is None else then.model_copy(update=_given(how))
    began = CoderForm.model_construct(**{name: getattr(config, name) for name in CoderForm.model_fields})
    # The option --seed draws both the weights of the coder and those of a random backbone.
    of = settings.hookpoints.model_copy(update={"seed": how.seed})
    own = {"form": began.model_copy(update=_given(form)), "settings": how, "hookpoints": of, "released": False}
    return settings.model_copy(update=own)


def _given(record: Settings) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.model_fields_set}


def _of_store(settings: TrainTranscoder, progress: Counting) -> tuple[StoreSource, Origin]:
    is_sae, how = settings.form.kind == "sae", settings.settings
    if not isinstance(settings.activations, str):
        raise SettingsError("activations: give a folder, or with images a backbone or a classifier that runs them")
    store = open_store(settings.activations, progress)
    about, one = store.about, settings.side if is_sae else "both"
    if settings.classifier is not None:
        given = network_of(None, settings.classifier, seed=how.seed, device=how.device)
        check_same(settings.activations, about.reads, about.classifier, given)
    source = StoreSource(store, seed=how.seed, held_out=how.held_out, side=one)
    reads = (about.writes or about.reads) if one == "targets" else about.reads
    writes = reads if is_sae else about.writes or about.reads
    return source, Origin(settings.activations, about.backbone, reads, writes, about.classifier)


def _of_images(settings: TrainTranscoder, progress: Counting) -> tuple[ImageSource, Origin]:
    is_sae, how, of = settings.form.kind == "sae", settings.settings, settings.hookpoints
    model, classifier, _ = network_of(settings.backbone, settings.classifier, seed=of.seed, device=how.device)
    population = read_population(
        settings.activations,
        labels=settings.labels,
        group_column=settings.group_column,
        manifest=Manifest(cache_folder()),
    )
    for note in population.notes:
        progress.note(note)
    for one in population.left_out:
        progress.note(f"left out: {one}")
    both = (of.reads, of.writes or of.reads)
    one = both[settings.side == "targets"]
    own = (one, one) if is_sae else both
    source = ImageSource(
        model,
        population,
        hookpoints=own,
        seed=how.seed,
        held_out=how.held_out,
        batch=of.batch,
        device=how.device,
    )
    return source, Origin(population.root, model.name, *own, classifier)


def _telling(progress: Counting) -> Callable[[Report], None]:
    def tell(report: Report) -> None:
        losses = ", ".join(f"{name} {value:.4f}" for name, value in report.losses.items() if value)
        fvu = " ".join(f"{value:.3f}" for value in report.fvu)
        words = f"{losses} · fvu {fvu} · l0 {report.l0:.1f} · dead {report.dead_share:.1%}"
        progress.count("steps", report.step, report.steps, words)

    return tell


def _trained(
    settings: TrainTranscoder, source: StoreSource | ImageSource, origin: Origin, progress: Counting, stop: Stop
) -> Trained:
    """The coder of a source of tokens, written into the folder; a finished one as it is there."""
    folder, how = settings.out, settings.settings
    config = _sized(settings.trained, source.d_in, source.d_out)
    if not settings.resume and ((folder / INFO).exists() or (folder / CHECKPOINT).exists()):
        raise SettingsError(f"{folder}: holds a coder already; give another folder, or --resume to go on with it")
    if (folder / INFO).exists():
        return _finished(folder, config, how, origin)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be made: {error}") from error
    checkpoint = folder / CHECKPOINT
    told, stopping = _telling(progress), lambda: stop.reason is not None
    of = origin.classifier
    coder = train(config, source, how, checkpoint=checkpoint, classifier=of, progress=told, stopping=stopping)
    held_out = measure(coder, source.held_out(how.batch, MEASURED)) if how.held_out else None
    training = Training(source=origin.source, settings=how, held_out=held_out)
    info = describe(
        config, model=origin.model, reads=origin.reads, writes=origin.writes, training=training, classifier=of
    )
    save_coder(coder, info, folder)
    checkpoint.unlink(missing_ok=True)
    return Trained(folder, info)


def _sized(form: CoderForm, d_in: int, d_out: int) -> CoderConfig:
    if form.kind == "sae" and d_in != d_out:
        raise SettingsError(f"--kind sae: writes what it reads, but the source has {d_in} and {d_out} channels")
    return CoderConfig(d_in=d_in, d_out=d_out, **dict(form))


def _finished(folder: Path, config: CoderConfig, settings: TrainSettings, origin: Origin) -> Trained:
    info = load_coder(folder).info
    if not same_network(info.classifier, origin.classifier):
        raise SettingsError(f"{folder}: holds a finished coder of another classifier; give another folder")
    if info.config != config or info.training is None or info.training.settings != settings:
        raise SettingsError(f"{folder}: holds a finished coder of other settings; give another folder")
    return Trained(folder, info)
