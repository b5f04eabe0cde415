"""`autointerp view`: serves the explorer."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.commands.score import Score
from autointerp.commands.view import View
from autointerp.dump.format import INFO_FILE
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import SettingsError
from autointerp.explorer.encoding import ImageEncoder
from autointerp.explorer.index import Index
from autointerp.explorer.server import app_of
from autointerp.explorer.sessions import Sessions, Told, Wanted
from autointerp.explorer.viewed import Viewed
from autointerp.extras import TRAIN, need
from autointerp.job import JobResult, Progress, Silent, Watched, dump_of
from autointerp.lmm.human.desk import Desk
from autointerp.places import cache_folder
from autointerp.remote.path import Location, as_path
from autointerp.runs.folder import Run, open_run
from autointerp.runs.judgings import labels
from autointerp.runs.parts import open_with_parts
from autointerp.session.gateway import open_renderer
from autointerp.settings import FeatureSelection, ModelChoice, ModelName, ScoreSettings
from autointerp.shards.remote_runs import read_run
from autointerp.web.guard import Guard
from autointerp.web.serving import listening, serve

PORT = 8765


class Served(NamedTuple):
    """Says what was served."""

    what: Location


def run(settings: View, *, progress: Progress | None = None) -> Served:
    """Serves the explorer until Ctrl-C.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    progress, guard = progress or Silent(), Guard.at(settings.host)
    with viewed(settings, guard, progress) as what, listening(settings.host, settings.port, PORT) as there:
        serve(app_of(what), there, guard, opens=settings.open, say=progress.note)
    return Served(settings.what)


@contextmanager
def viewed(settings: View, guard: Guard, progress: Progress) -> Iterator[Viewed]:
    """Opens what is looked at, as long as the context lasts.

    Raises:
        AutointerpError: it is no run and no dump, or the runs are of different dumps.
    """
    with ExitStack() as held:
        if (as_path(settings.what) / INFO_FILE).exists():
            if settings.other is not None or settings.dump is not None:
                given = "--dump" if settings.dump is not None else str(settings.other)
                raise SettingsError(f"{given}: {settings.what} is a dump; only runs go with another one")
            runs: list[Run] = []
            dump = held.enter_context(open_dump(settings.what, allow_outside=settings.allow_outside))
        else:
            named = [place for place in (settings.what, settings.other) if place is not None]
            runs = [open_with_parts(held.enter_context(read_run(place))) for place in named]
            dump = held.enter_context(dump_of(runs[0], settings.dump, allow_outside=settings.allow_outside))
            _refuse_other_dump(runs, settings)
        encoder = _encoder(settings, dump)
        cache = cache_folder(settings.cache)
        renderer = open_renderer(dump, cache)
        held.callback(renderer.close)
        named = [_name(place) for place in (settings.what, settings.other) if place is not None]
        indices = [Index(dump, *of, cache, progress.note) for of in zip(runs or [None], named, strict=True)]
        sessions = None
        if runs and isinstance(as_path(settings.what), Path):
            sessions = Sessions(partial(judge, settings))
            held.callback(sessions.close)
        yield Viewed(dump, tuple(runs), renderer, guard, tuple(indices), cache, encoder, sessions)


def _encoder(settings: View, dump: Dump) -> ImageEncoder | None:
    """Opens the coder of the dump; None where none was named.

    Raises:
        SettingsError: it cannot be had, or the dump was harvested with another one.
    """
    if settings.coder is None:
        given = next((n for n in ("backbone", "reads", "classifier") if getattr(settings, n) is not None), None)
        if given is not None:
            raise SettingsError(f"--{given}: goes with --coder, which says what encodes images")
        return None
    need("encoding images (--coder)", TRAIN, "train")
    # It loads torch, which only this wants.
    from autointerp.transcoder.one_image import open_encoder

    encoder = open_encoder(
        settings.coder,
        settings.backbone,
        reads=settings.reads,
        classifier=settings.classifier,
        device=settings.device,
    )
    origin, named = dump.info.coder, f"--coder {settings.coder}"
    if encoder.n_latents != dump.info.n_latents:
        there = f"{encoder.n_latents:,} latents, and the dump is of one with {dump.info.n_latents:,}"
        raise SettingsError(f"{named}: has {there}; name the coder that the dump was harvested with")
    if origin is not None and origin.digest != encoder.source.digest:
        raise SettingsError(
            f"{named}: is not the coder that the dump was harvested with, {origin.source} "
            f"({origin.digest[:12]}, and this one is {encoder.source.digest[:12]}); name that one"
        )
    return encoder


def _name(where: Location) -> str:
    """How an index names what it is of."""
    place = as_path(where)
    return str(place.resolve()) if isinstance(place, Path) else str(place)


def judge(settings: View, wanted: Wanted, desk: Desk, told: Told) -> str:
    """Has a person judge a sample of the run's features, as its scores were made; says how it ended.

    Raises:
        AutointerpError: something that can be mended; the message says how.
    """
    from autointerp.jobs.score import run as score

    there = open_run(settings.what)
    explained = there.explained()
    if not len(explained):
        return f"Nothing in {there.path} is explained yet, so that there is nothing to judge."
    n = min(wanted.features, len(explained))
    drawn = np.sort(np.random.default_rng(wanted.seed).choice(explained, n, replace=False))
    made = there.info.score.settings if there.info.score is not None else ScoreSettings()
    asked = Score(
        run=settings.what,
        features=FeatureSelection(drawn.tolist()),
        judge=ModelChoice(model=ModelName.of_person(wanted.name)),
        settings=made.model_copy(update={"scorers": wanted.scorers, "n_controls": 0}),
        dump=settings.dump,
        cache=settings.cache,
        allow_outside=settings.allow_outside,
    )
    result = score(asked, progress=_Shown(told), desk=desk)
    if result.stopped is not None:
        return f"Stopped: {result.stopped}. The same name, number and seed go on where it stopped."
    return _ended(settings, result)


def _ended(settings: View, result: JobResult) -> str:
    """How a session ended, and what tells more."""
    judged = "The feature is judged" if result.selected == 1 else f"All {result.selected:,} features are judged"
    others = [label for label in labels(open_run(settings.what).judged).values() if label != result.judge]
    if not others or result.judge is None:
        return f"{judged}. Your scores stand on the features' pages."
    command = f"autointerp compare {settings.what} --judge {others[0]} --judge {result.judge}"
    return f"{judged}. Your scores stand on the features' pages; “{command}” tells how far you and {others[0]} agree."


@dataclass(frozen=True)
class _Shown:
    """Shows the explorer's page how far the work of a session is."""

    told: Told

    def show(self, stage: str, gateway: Watched, total: int, before: int) -> AbstractContextManager[object]:
        """Shows nothing, since the page asks."""
        return nullcontext()

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        self.told.advance()

    def note(self, text: str) -> None:
        """Shows one line of text."""
        self.told.note(text)


def _refuse_other_dump(runs: list[Run], settings: View) -> None:
    """Raises SettingsError where two runs are not of one dump."""
    if len({run.info.dump.digest for run in runs}) > 1:
        names = " and ".join(run.info.dump.name for run in runs)
        raise SettingsError(f"{settings.other}: is a run of another dump ({names}); name two runs of one dump")
