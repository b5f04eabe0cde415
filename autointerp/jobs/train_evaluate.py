"""`autointerp train evaluate`: what trained coders are worth on tokens and images that they did not learn from."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from autointerp.clock import now
from autointerp.commands.train_evaluate import TrainEvaluate
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.jobs.evaluate_pairs import Asking, asked_pairs, asking, on_pairs
from autointerp.jobs.stores import open_store
from autointerp.places import cache_folder
from autointerp.populations.images import Population, PopulationImage, read_population
from autointerp.transcoder.attribute_association import Association, association, one_of_each
from autointerp.transcoder.backbones.given import given_backbone
from autointerp.transcoder.backbones.headed import Network, check_same, with_classifier
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.classifier import ClassifierInfo, load_info
from autointerp.transcoder.coder_io import StoredCoder, load_coder
from autointerp.transcoder.coders.peer_names import hookpoint
from autointerp.transcoder.evaluation import Asked, CoderFigures, Effect, Evaluation, Images, area, effect_of
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.layer_substitution import Looked, Placing, check_placed, control, look, on_tokens
from autointerp.transcoder.platt import PREDICTIONS_FILE
from autointerp.transcoder.settings import EvaluateSettings
from autointerp.transcoder.store import ActivationStore
from autointerp.version import __version__

Progress = Callable[[int, int], None]


class _Question(NamedTuple):
    """A classifier and the images that it is asked about."""

    folder: Path
    reads: str
    part: Literal["test", "all"]
    images: tuple[PopulationImage, ...]
    groups: tuple[int, ...]


class _Looking(NamedTuple):
    """What coders are shown."""

    population: Population | None
    pairs: Asking | None
    settings: EvaluateSettings
    progress: Counting


def run(settings: TrainEvaluate, *, progress: Counting | None = None) -> Evaluation:
    """Measures coders of one backbone: on a store's held-out tokens, and on images and on pairs if some are given.

    The images need not be those of the store.

    Raises:
        SettingsError: a folder or a label cannot be used, or things do not fit together.
    """
    progress = progress or Uncounted()
    how, device, images = settings.settings, settings.device, settings.images
    _check(settings)
    held = open_store(settings.activations, progress)
    stored = _stored(settings, held)
    mine = {name: on_tokens(held, name, stored[name], how, device) for name in settings.coders}
    others = {name: control(name, stored[name], device) for name in settings.controls}
    figures, asked = {name: one.figures for name, one in {**mine, **others}.items()}, None
    population = None if images is None else _population(settings, images, progress)
    pairs = None if settings.pairs is None else asking(settings.pairs, how)
    if population is not None or pairs is not None:
        looking = _Looking(population, pairs, how, progress)
        network = _network(settings, held)
        question = None
        if population is not None and network.classifier is not None:
            question = _question(network, population, how)
        figures, asked = _on_pictures(network.model, mine, looking, question, own=True)
        for name, one in others.items():
            other = load_backbone(one.figures.model, seed=how.seed, device=device)
            figures |= _on_pictures(other, {name: one}, looking, None, own=False)[0]
    return Evaluation(
        created=now(),
        created_by=f"autointerp {__version__}",
        store=str(settings.activations),
        images=None if population is None else population.root,
        settings=how,
        asked=asked,
        pairs=None if pairs is None else asked_pairs(pairs),
        coders=tuple(figures[name] for name in mine),
        controls=tuple(figures[name] for name in others),
    )


def _check(settings: TrainEvaluate) -> None:
    """Sees that options go together.

    Raises:
        SettingsError: something is asked of images, and there are none, or a coder is named twice.
    """
    of_images = settings.labels is not None or settings.error_folders
    # Pairs alone may be of a classifier's network.
    if settings.images is None and (of_images or (settings.classifier is not None and settings.pairs is None)):
        raise SettingsError("--images: name the folder of the images that labels and classifier are about")
    names = (*settings.coders, *settings.controls)
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise SettingsError(f"--coder {twice}: is named twice; name each coder and control once")


def _stored(settings: TrainEvaluate, held: ActivationStore) -> dict[str, StoredCoder]:
    """Loads coders and controls; of another tool's, what was asked for stands in place of what their files say."""
    asked, reads = settings.backbone, settings.reads
    model = asked if asked is None or isinstance(asked, str) else held.about.backbone
    if reads not in (None, held.about.reads, held.about.writes):
        # Somebody who types another tool's name of a place means it.
        reads = hookpoint(reads)
    coders = {name: load_coder(name, model=model, reads=reads) for name in settings.coders}
    return coders | {name: load_coder(name) for name in settings.controls}


def _population(settings: TrainEvaluate, images: object, progress: Counting) -> Population:
    """Reads the drawn images of a folder, and tells which of them are left out."""
    population = read_population(
        images,
        labels=settings.labels,
        attribute=settings.attribute,
        error_folders=settings.error_folders,
        **settings.columns.model_dump(),
        draw=lambda n: _drawn(n, settings.settings),
        manifest=Manifest(cache_folder()),
    )
    for note in population.notes:
        progress.note(note)
    for one in population.left_out:
        progress.note(f"left out: {one}")
    return population


def _network(settings: TrainEvaluate, held: ActivationStore) -> Network:
    """Opens the backbone that the activations are of, with a classifier's head if one is named."""
    if settings.backbone is None or isinstance(settings.backbone, str):
        model = load_backbone(held.about.backbone, seed=settings.settings.seed, device=settings.device)
    else:
        model = given_backbone(settings.backbone)
        if model.name != held.about.backbone:
            raise SettingsError(
                f"backbone: is called {model.name}, and {settings.activations} was made with {held.about.backbone}; "
                "give that one"
            )
    network = Network(model, None) if settings.classifier is None else with_classifier(model, settings.classifier)
    check_same(str(settings.activations), held.about.reads, held.about.classifier, network)
    return network


def _drawn(n_images: int, settings: EvaluateSettings) -> list[int]:
    """Returns the ascending positions of at most as many images as the settings say."""
    if n_images <= settings.most_images:
        return list(range(n_images))
    chance = np.random.default_rng((0xD4A4, settings.seed))
    return np.sort(chance.choice(n_images, settings.most_images, replace=False)).tolist()


def _question(network: Network, population: Population, settings: EvaluateSettings) -> _Question:
    """Of the images those that the classifier did not learn from, where it says which they are."""
    assert network.classifier is not None
    folder = Path(network.classifier.folder)
    info = load_info(folder)
    learned = _learned_from(folder, info, population) if settings.part == "test" else frozenset()
    chosen = [
        (image, group)
        for image, group in zip(population.images, population.groups.tolist(), strict=True)
        if image.name not in learned
    ]
    if not chosen:
        raise SettingsError(f"--classifier {folder}: learned from all of the images; give others, or --part all")
    return _Question(
        folder,
        info.hookpoint,
        settings.part,
        tuple(image for image, _ in chosen),
        tuple(group for _, group in chosen),
    )


def _learned_from(folder: Path, info: ClassifierInfo, population: Population) -> frozenset[str]:
    """Paths of images that it was trained or stopped by; none in another folder than the one that it learned from."""
    if Path(info.images).resolve() != Path(population.root).resolve():
        return frozenset()
    path = folder / PREDICTIONS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return frozenset(row["path"] for row in csv.DictReader(file) if row["part"] != "test")
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as e:
        raise SettingsError(f"{path}: cannot be read ({e}), so nobody knows its test images; give --part all") from e


def _on_pictures(
    model: Backbone, parts: Mapping[str, Placing], looking: _Looking, question: _Question | None, *, own: bool
) -> tuple[dict[str, CoderFigures], Asked | None]:
    """The figures of coders of one backbone on all pictures; `own` ones have controls beside them."""
    figures, asked = {name: one.figures for name, one in parts.items()}, None
    if looking.population is not None:
        tell = counted(looking.progress, "images run")
        figures, asked = _on_images(model, parts, looking.population, question, looking.settings, tell)
    if looking.pairs is not None:
        measured = {name: Placing(one.placed, figures[name]) for name, one in parts.items()}
        figures |= on_pairs(model, measured, looking.pairs, looking.progress, controlled=own)
    return figures, asked


def _on_images(
    model: Backbone,
    parts: Mapping[str, Placing],
    population: Population,
    question: _Question | None,
    settings: EvaluateSettings,
    progress: Progress,
) -> tuple[dict[str, CoderFigures], Asked | None]:
    """The figures of coders of one backbone, in one pass over the images."""
    placed = {name: part.placed for name, part in parts.items()}
    for name, one in placed.items():
        check_placed(model, name, one, question.reads if question else None)
    looked = look(
        model,
        population.images,
        placed,
        replace_in=frozenset(i.image for i in question.images) if question else (),
        batch=settings.batch,
        progress=progress,
    )
    figures = {
        name: part.figures.model_copy(
            update={
                "association": _associated(looked.peaks[name], population, settings, part.figures.widths),
                "effects": _effects(name, looked, question, settings) if question else (),
            }
        )
        for name, part in parts.items()
    }
    return figures, _asked(looked, question, settings) if question else None


def _associated(
    peaks: Peaks, population: Population, settings: EvaluateSettings, widths: tuple[int, ...]
) -> Association | None:
    labelled = np.array([i.attribute is not None for i in population.images])
    attribute = np.array([bool(i.attribute) for i in population.images])[labelled]
    if len(np.unique(attribute)) < 2:
        return None
    kept = one_of_each(population.groups[labelled], attribute)
    return association(
        peaks[labelled][kept],
        attribute[kept],
        density=settings.density,
        level=settings.level,
        seed=settings.seed,
        widths=widths,
    )


def _images(question: _Question) -> Images:
    return Images(
        labels=np.array([bool(i.attribute) for i in question.images]),
        known=np.array([i.attribute is not None for i in question.images]),
        groups=np.array(question.groups, dtype=np.int64),
    )


def _effects(name: str, looked: Looked, question: _Question, settings: EvaluateSettings) -> tuple[Effect, ...]:
    return tuple(
        effect_of(what, looked.before, after, _images(question), seed=settings.seed)
        for what, after in looked.after[name].items()
    )


def _asked(looked: Looked, question: _Question, settings: EvaluateSettings) -> Asked:
    images = _images(question)
    return Asked(
        classifier=str(question.folder),
        part=question.part,
        n_images=len(question.images),
        n_groups=len(set(question.groups)),
        n_attribute=int(images.labels.sum()),
        auroc=area(looked.before, images, seed=settings.seed),
    )
