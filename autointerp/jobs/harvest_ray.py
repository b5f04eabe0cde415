"""`autointerp harvest --engine ray`: each actor runs a shard of the images, in a folder that all see or at a URL."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.commands.harvest import Harvest
from autointerp.counting import Counting, counted
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.jobs.harvesting import (
    HarvestResult,
    labels_of,
    listed,
    merge_into,
    merged,
    on_this_machine,
    one_shard,
    open_job,
    read_listed,
)
from autointerp.jobs.ray_work import check_networks, crew_for
from autointerp.places import cache_folder
from autointerp.populations.opening import anywhere
from autointerp.populations.shared_looks import look_at_share, shared_looks
from autointerp.remote.given import Given, leave, taken
from autointerp.remote.path import RemotePath
from autointerp.shards.shards import Shard
from autointerp.transcoder.coders.files import SETTINGS
from autointerp.transcoder.harvest.folders import shards_folder
from autointerp.transcoder.harvest.sent_shards import ShardsAtUrl
from autointerp.transcoder.harvest.sharding import begin_shards
from autointerp.transcoder.harvest.shared_plan import Listed, Shards
from autointerp.transcoder.settings import WorkplaceOfNetworks

PIECES = "shards"
"""Folder of the cache in which a node keeps the shards that it works on for a URL."""


def in_folder_on_ray(settings: Harvest, progress: Counting) -> HarvestResult:
    """Has each shard run on a cluster whose nodes share the folders, and merges them.

    A lost worker's shard goes on from its last checkpoint. A dump whose shards were begun keeps their number.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used, or the cluster lacks something.
        DumpError: the dump exists, or cannot be made.
    """
    _check(settings)
    crew = crew_for(settings.workplace, settings.device)
    shared = Shards(shards_folder(settings.folder)).plan()
    of = crew.size if shared is None else shared.of
    with crew.at_work(progress) as each:
        each(_shard_in_folder, [_anywhere(settings, f"{i}/{of}") for i in range(of)])
    return merged(settings.folder, keep=False, progress=progress, named=settings.coders)


def at_url_on_ray(
    settings: Harvest, target: RemotePath, folder: Path, progress: Counting
) -> tuple[HarvestResult, ShardsAtUrl]:
    """Has each shard run on a cluster whose nodes share no folder, and merges them into a folder of this machine.

    Images are looked at in shares first, then one process finds the thresholds, then each shard is worked on in a
    folder of its node and sent. Files of this machine that coders, labels and classifier are, are sent to the nodes.

    Args:
        settings: of the harvest.
        target: the dump, beside which the shards lie.
        folder: where the dump is made.
        progress: is told files read, images harvested and shards merged.

    Returns:
        What was made, and the shards, which are to be removed once the dump is where it belongs.

    Raises:
        SettingsError: as in a folder, or the URL cannot be read or written.
        DumpError: the dump cannot be made.
    """
    _check(settings)
    crew = crew_for(settings.workplace, settings.device)
    shards = ShardsAtUrl(shards_folder(folder), target.parent / f".{target.name}.shards")
    shared = shards.plan()
    of = crew.size if shared is None else shared.of
    with crew.at_work(progress) as each:
        sent = _sent(settings, shards.url)
        each(_look, [_AtUrl(sent, i, of) for i in range(of)])
        with shared_looks(shards.url, of, Manifest(cache_folder())) as manifest:
            population = read_listed(sent.listed, manifest)
        each(_plan, [_AtUrl(sent, 0, of)])
        shared = shards.plan()
        assert shared is not None, "it was made just now"
        missing = shards.missing(shared, len(population.images))
        each(_shard_at_url, [_AtUrl(sent, i, of) for i in range(of) if f"{i}/{of}" in missing])
    shards.folder.mkdir(parents=True, exist_ok=True)
    shards.fetch_decoders(shared)
    result = merge_into(folder, shards, population, keep=True, progress=progress, named=settings.coders)
    return result, shards


def _check(settings: Harvest) -> None:
    """Refuses what cannot be sent to a cluster."""
    if settings.shard is not None:
        raise SettingsError("--shard is run by one process; leave it out with --engine ray, which makes shards itself")
    check_networks(settings.backbone, settings.device, settings.workplace)
    listed(settings)


def _anywhere(settings: Harvest, shard: str) -> Harvest:
    """Returns the settings of one shard for a process with another working folder."""
    labels, classifier = settings.labels, settings.classifier
    own = {
        "workplace": WorkplaceOfNetworks(),
        "shard": shard,
        "images": anywhere(str(settings.images)),
        "dump": str(settings.folder.absolute()),
        "coders": tuple(str(Path(c).absolute()) if os.path.lexists(c) else c for c in settings.coders),
        "labels": None if labels is None else labels.absolute(),
        "classifier": None if classifier is None else classifier.absolute(),
    }
    return settings.model_copy(update=own)


def _shard_in_folder(settings: Harvest, progress: Counting) -> None:
    """Runs one shard, in a task of Ray."""
    on_this_machine(settings, progress)


@dataclass(frozen=True)
class _Sent:
    """A harvest as it travels to nodes that share no folder with this machine."""

    settings: Harvest
    url: RemotePath
    """Of the shards."""
    listed: Listed
    coders: tuple[Given | str, ...]
    """What was left at the URL, or a name that holds everywhere."""
    labels: Given | None = field(default=None)
    classifier: Given | None = field(default=None)

    def here(self, home: Path) -> Harvest:
        """Returns the settings on this node, with what was left for it."""

        def own(one: Given | str | None) -> Path | str | None:
            return taken(one, self.url, home) if isinstance(one, Given) else one

        update = {
            "workplace": WorkplaceOfNetworks(),
            "images": self.listed.images,
            "dump": str(home / "dump"),
            "coders": tuple(str(own(one)) for one in self.coders),
            "labels": own(self.labels),
            "classifier": own(self.classifier),
        }
        return self.settings.model_copy(update=update)


@dataclass(frozen=True)
class _AtUrl:
    """One shard of a harvest at a URL."""

    sent: _Sent
    index: int
    of: int

    @property
    def home(self) -> Path:
        """Returns the folder of this node for the harvest."""
        return cache_folder().absolute() / PIECES / hashlib.sha256(self.sent.url.url.encode()).hexdigest()[:16]


def _sent(settings: Harvest, url: RemotePath) -> _Sent:
    """Leaves at the URL what nodes need of this machine."""

    def left(path: Path) -> Given:
        beside = [] if path.is_dir() else [p for p in path.resolve().parent.iterdir() if p.suffix in SETTINGS]
        return leave(path, url, [p for p in sorted(beside) if p != path.resolve()])

    return _Sent(
        settings.model_copy(update={"workplace": WorkplaceOfNetworks()}),
        url,
        listed(settings),
        tuple(left(Path(c)) if os.path.lexists(c) else c for c in settings.coders),
        None if settings.labels is None else leave(settings.labels, url),
        None if settings.classifier is None else leave(settings.classifier, url),
    )


def _look(one: _AtUrl, progress: Counting) -> None:
    """Looks at one share of the images, in a task of Ray."""
    settings, told = one.sent.here(one.home), counted(progress, "files read")
    manifest = Manifest(cache_folder())
    look_at_share(settings.images, one.sent.url, one.index, one.of, manifest, told, **labels_of(settings))


def _plan(one: _AtUrl, progress: Counting) -> None:
    """Makes the common plan, or checks that it is of the same harvest, in a task of Ray."""
    settings = one.sent.here(one.home)
    with shared_looks(one.sent.url, one.of, Manifest(cache_folder())) as manifest:
        job = open_job(settings, manifest, None, progress)
    begin_shards(job, one.sent.listed, _shards_of(one), one.of)


def _shard_at_url(one: _AtUrl, progress: Counting) -> None:
    """Runs one shard, in a task of Ray."""
    settings, shard = one.sent.here(one.home), Shard(one.index, one.of)
    with shared_looks(one.sent.url, one.of, Manifest(cache_folder())) as manifest:
        one_shard(settings, one.sent.listed, _shards_of(one), shard, manifest, progress)


def _shards_of(one: _AtUrl) -> ShardsAtUrl:
    return ShardsAtUrl(one.home / "shards", one.sent.url)
