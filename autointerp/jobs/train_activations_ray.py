"""`autointerp train activations --engine ray`: each actor stores the activations of its share of the images."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from autointerp.commands.train_activations import TrainActivations
from autointerp.counting import Counting, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.jobs.ray_work import check_networks, crew_for
from autointerp.jobs.storing import COLUMNS, IMAGES_FILE, Stored, activations_of, check_free, clear, image_rows, stored
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.populations.opening import anywhere
from autointerp.populations.shared_looks import look_at_share, shared_looks
from autointerp.remote.given import Given, leave, taken
from autointerp.remote.objects import made, names_in, reached, remove, remove_all
from autointerp.remote.path import AnyPath
from autointerp.transcoder.backbones.headed import Network, network_of
from autointerp.transcoder.backbones.protocol import grid_of
from autointerp.transcoder.files import write_table
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.harvest.state import population_digest
from autointerp.transcoder.settings import StoreSettings, WorkplaceOfNetworks
from autointerp.transcoder.store import MANIFEST, SHARD_TOKENS
from autointerp.transcoder.store_parts import Places, StorePlan, join, missing_of, write_pieces
from autointerp.version import __version__

GIVEN = "given"
"""Folder of the cache in which a node keeps what it was given."""


def parts_of(out: AnyPath) -> AnyPath:
    """Returns the folder of the parts of a store: a hidden one beside it."""
    return out.absolute().parent / f".{out.name}.parts"


def on_ray(settings: TrainActivations, out: AnyPath, progress: Counting) -> Stored:
    """Has the images run on a cluster whose nodes all reach the store, and joins what they wrote to one's store.

    Images are looked at in shares first. A lost worker's share goes on behind its last shard; after a stop the same
    command goes on. A store that was begun keeps its number of shares.

    Raises:
        SettingsError: a folder, a hookpoint or an image list cannot be used, `out` holds something already, or the
            cluster lacks something.
    """
    if not isinstance(settings.images, str):
        raise SettingsError("--engine ray: what is made in Python cannot be read on a cluster; give a folder or a file")
    check_networks(settings.backbone, settings.device, settings.workplace)
    parts = parts_of(out)
    crew, begun = crew_for(settings.workplace, settings.device), _plan_at(parts)
    of = crew.size if begun is None else begun.of
    if begun is None or not _is_whole(out):
        check_free(out)
    with crew.at_work(progress) as each:
        sent = _sent(settings, out.absolute(), parts)
        each(_look, [_Share(sent, i, of) for i in range(of)])
        with shared_looks(parts, of, Manifest(cache_folder())) as manifest:
            population = _population(settings, manifest)
        if begun is None:
            clear(out)
        each(_plan, [_Share(sent, 0, of)])
        plan = _plan_at(parts)
        assert plan is not None, "it was made just now"
        each(_run, [_Share(sent, i, of) for i in range(of) if missing_of(plan, i, sent.at)])
    return _whole(plan, Places(out, parts), population, progress)


def _is_whole(out: AnyPath) -> bool:
    with reached(out):
        return MANIFEST in names_in(out)


def _whole(plan: StorePlan, at: Places, population: Population, progress: Counting) -> Stored:
    """Joins the parts, writes what comes last, and removes the parts."""
    out, parts = at.out, at.parts
    manifest = join(plan, at, counted(progress, "shards joined"))
    with reached(out):
        with made(out / IMAGES_FILE) as file:
            write_table(file, COLUMNS, image_rows(population))
        with made(out / MANIFEST) as file:
            file.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    with reached(parts):
        remove(parts / PLAN)
        remove_all(parts)
    return stored(out, manifest, population)


def _plan_at(parts: AnyPath) -> StorePlan | None:
    """Returns the plan of a store that was begun; None where none was."""
    with reached(parts):
        try:
            return StorePlan.model_validate_json((parts / PLAN).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise SettingsError(f"{parts / PLAN}: not the plan of a store; remove {parts} to begin anew") from error


@dataclass(frozen=True)
class _Sent:
    """A pass as it travels to the nodes."""

    settings: TrainActivations
    at: Places
    labels: Given | None
    classifier: Given | None

    def here(self) -> TrainActivations:
        """Returns the settings on this node, with what was left for it."""
        name = hashlib.sha256(str(self.at.parts).encode()).hexdigest()[:16]
        home = cache_folder().absolute() / GIVEN / name

        def own(one: Given | None) -> Path | None:
            return None if one is None else taken(one, self.at.parts, home)

        return self.settings.model_copy(update={"labels": own(self.labels), "classifier": own(self.classifier)})


@dataclass(frozen=True)
class _Share:
    """The images of one actor."""

    sent: _Sent
    index: int
    of: int


def _sent(settings: TrainActivations, out: AnyPath, parts: AnyPath) -> _Sent:
    """Leaves beside the parts what nodes need of this machine."""
    own = {"workplace": WorkplaceOfNetworks(), "images": anywhere(str(settings.images)), "out": str(out)}
    return _Sent(
        settings.model_copy(update=own),
        Places(out, parts),
        None if settings.labels is None else leave(settings.labels, parts),
        None if settings.classifier is None else leave(settings.classifier, parts),
    )


def _population(settings: TrainActivations, manifest: Manifest) -> Population:
    return read_population(
        settings.images, labels=settings.labels, group_column=settings.group_column, manifest=manifest
    )


def _network(settings: TrainActivations) -> Network:
    seed = settings.settings.seed
    return network_of(settings.backbone, settings.classifier, seed=seed, device=settings.device)


def _look(one: _Share, progress: Counting) -> None:
    """Looks at one share of the images, in a task of Ray."""
    settings, told = one.sent.here(), counted(progress, "files read")
    of_labels = {"labels": settings.labels, "group_column": settings.group_column}
    manifest = Manifest(cache_folder())
    look_at_share(settings.images, one.sent.at.parts, one.index, one.of, manifest, told, **of_labels)


def _plan(one: _Share, progress: Counting) -> None:
    """Makes the plan of the store, or checks that it is of the same, in a task of Ray."""
    settings, parts = one.sent.here(), one.sent.at.parts
    with shared_looks(parts, one.of, Manifest(cache_folder())) as manifest:
        population = _population(settings, manifest)
    network = _network(settings)
    own = StorePlan(
        version=__version__,
        of=one.of,
        n_images=len(population.images),
        per_image=_per_image(network, settings.settings),
        shard_tokens=SHARD_TOKENS,
        about=activations_of(network, settings.settings),
        settings=settings.settings,
        population=population_digest(population),
        backbone=network.model.digest,
    )
    there = _plan_at(parts)
    if there is not None and (difference := there.differs(own)) is not None:
        raise SettingsError(
            f"{parts}: a store was begun in which {difference}; give the same again, or remove the folder"
        )
    with reached(parts), made(parts / PLAN) as file:
        file.write_text(own.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _per_image(network: Network, what: StoreSettings) -> int:
    """Returns how many tokens of an image are stored."""
    hookpoint = network.model.hookpoints[what.reads]
    n_tokens = math.prod(grid_of(network.model, what.reads)) if hookpoint.kind == "patches" else 1
    return min(n_tokens, what.tokens_per_image or n_tokens)


def _run(one: _Share, progress: Counting) -> None:
    """Runs one share of the images, in a task of Ray."""
    settings, at = one.sent.here(), one.sent.at
    plan = _plan_at(at.parts)
    assert plan is not None, "it is made before any share is run"
    with shared_looks(at.parts, one.of, Manifest(cache_folder())) as manifest:
        population = _population(settings, manifest)
    network = _network(settings)
    if network.model.digest != plan.backbone or population_digest(population) != plan.population:
        what = "images" if network.model.digest == plan.backbone else "backbone"
        raise SettingsError(f"{settings.images}: the {what} of this node are others than where the store was begun")
    told = counted(progress, "images run")
    write_pieces(plan, one.index, at, network.model, population, told, settings.device)
