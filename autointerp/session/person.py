"""Opens the way to a person who judges: by which name, on which page, and until when an answer is waited for."""

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from autointerp.errors import SettingsError
from autointerp.extras import need
from autointerp.lmm.cache import Cache
from autointerp.lmm.human.desk import Desk
from autointerp.lmm.human.journal import Journal
from autointerp.lmm.limits import Limiter
from autointerp.pipeline import Stop
from autointerp.settings import HUMAN, EngineSettings, ModelName, PageSettings

if TYPE_CHECKING:
    from autointerp.lmm.human.client import HumanClient


ENDING = "ending the session; what was answered is kept, and the same command goes on where it stopped"
"""Said at the first Ctrl-C: nothing that is in flight is waited for."""


class Sitting(NamedTuple):
    """Where a person is asked."""

    page: PageSettings
    """Where the page is served."""
    stop: Stop
    """Ends the work; then nobody waits for an answer."""
    desk: Desk | None = None
    """The desk of pages that are served already; without one, pages are served for this work alone."""


def full_name(model: ModelName) -> ModelName:
    """`human:NAME`; the name of the account where none is given.

    Raises:
        SettingsError: the account has no name, or none that a person may have.
    """
    if model != HUMAN:
        return model
    try:
        return ModelName.of_person(getpass.getuser())
    except (OSError, KeyError, ValueError) as error:
        raise SettingsError("--judge-model human: say who judges, as in --judge-model human:NAME") from error


def person_at(
    model: ModelName, engine: EngineSettings, sitting: Sitting | None, say: Callable[[str], None] | None
) -> Callable[[Cache, Limiter], "HumanClient"]:
    """Who asks a person, once the cache is open.

    Raises:
        SettingsError: only a model can be asked here, or a budget is given.
        ExtraError: what serves pages is not installed.
    """
    if sitting is None:
        raise SettingsError(f"{model}: a person judges with `score` and `calibrate` alone; name a model here")
    if engine.budget is not None:
        raise SettingsError("--budget with --judge-model human: a person uses neither dollars nor tokens; leave it out")
    need("a person as judge", ("starlette", "uvicorn"), "view")
    from autointerp.lmm.human.client import HumanClient

    def opened(cache: Cache, limiter: Limiter) -> HumanClient:
        desk = sitting.desk or Desk(model.partition(":")[2])
        journal = Journal(cache.folder)
        try:
            client = HumanClient(desk, None if sitting.desk is not None else sitting.page, say)
        except SettingsError:
            journal.close()
            raise
        desk.sit(journal, lambda: sitting.stop.ask("ended on the page"))
        sitting.stop.tells(desk.end)
        sitting.stop.saying = ENDING
        return client

    return opened
