"""Who is asked, and where: what was given on this machine, else what the run names, else OpenAI; said beforehand."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autointerp.errors import SettingsError, one_line
from autointerp.job import Progress
from autointerp.lmm.address import OPENAI, checked_url, forms, listed
from autointerp.lmm.cache import Cache
from autointerp.lmm.openai_client import answering_address
from autointerp.lmm.trust import admit, from_environment, remember
from autointerp.places import cache_folder
from autointerp.remote.path import Location
from autointerp.runs.folder import Run, RunWriter
from autointerp.runs.info import RunInfo
from autointerp.settings import PIPELINE, EngineSettings, ExplainSettings, ModelSettings, PictureSettings, ScoreSettings
from autointerp.shards.shards import Shard

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox

EXPLAINER = ("AUTOINTERP_BASE_URL",)
JUDGE = ("AUTOINTERP_JUDGE_BASE_URL", "AUTOINTERP_BASE_URL")
DEFAULT = ("OPENAI_BASE_URL",)
"""Read where nothing else names a server, as other programs of OpenAI's key do."""
_INSTEAD = ", or name another server with --judge-base-url"


def judge_name(made: RunInfo, named: str | None) -> str:
    """Who judges a run: the one named, else its explainer.

    Raises:
        SettingsError: nobody is named, and the run's explanations were adopted or made by steering.
    """
    if named is not None:
        return named
    if made.is_adopted:
        raise SettingsError(
            "--judge-model: name a judge; the run's explanations were adopted, so there is no explainer to ask"
        )
    if made.explain.model.model.is_transformers:
        raise SettingsError("--judge-model: name a judge; the run's explainer was steered, and answers nothing else")
    return made.explain.model.model


def given_here(shard: Shard | None, outbox: "Outbox | None") -> bool:
    """Whether a command's settings were given to it: not dealt by another process, nor recorded for a batch job."""
    return outbox is None and (shard is None or shard.ids is None)


def explainer_at(
    model: ModelSettings, engine: EngineSettings, *, given: bool = True
) -> tuple[ModelSettings, EngineSettings]:
    """The explainer with its servers: those of the settings, else of AUTOINTERP_BASE_URL, else OpenAI.

    Args:
        model: as `resolve_model` gave it.
        engine: with its further servers.
        given: as `given_here` says; the addresses are then remembered.

    Raises:
        SettingsError: an address cannot be used.
    """
    return _placed(model, engine, EXPLAINER, None, given=given)


def judge_at(
    model: ModelSettings,
    engine: EngineSettings,
    run: Run | None = None,
    *,
    trust: Iterable[str] = (),
    given: bool = True,
) -> tuple[ModelSettings, EngineSettings]:
    """The judge with its servers: those of the settings, else of the environment, else the run's own, else OpenAI.

    Args:
        model: as `resolve_model` gave it.
        engine: with its further servers.
        run: whose explainer's server is asked where no other is named; None where there is no run.
        trust: addresses that the run may name though they were never given on this machine.
        given: as for `explainer_at`.

    Raises:
        SettingsError: an address cannot be used, or only the run names it.
    """
    inherited = None
    if run is not None and not run.info.is_adopted and not _told(model, engine) and not from_environment(JUDGE):
        inherited = _recorded(run.info.explain.model, run.path)
    if run is not None and model.model.has_server:
        named_by = f"{run.path}/run.json"
        admit([inherited], named_by=named_by, confirmed=trust, bare=True, instead=_INSTEAD)
    return _placed(model, engine, JUDGE, inherited, given=given)


def admit_random(run: Run, random_dump: Location | None, *, trust: Iterable[str] = ()) -> None:
    """Makes sure that a run's explainer, and whoever tells its meanings apart, may be asked about a random dump.

    Raises:
        SettingsError: only the run folder names a server of theirs, or the explainer was steered.
    """
    if random_dump is None:
        return
    made = run.info.explain
    if made.settings.steer is not None:
        raise SettingsError(
            "--random-dump: the run's explainer was steered inside its own vision tower, of which a random encoder is "
            "no part; leave it out"
        )
    plan = made.settings.candidates
    who = (made.model, plan.embedder if plan is not None and plan.diverse else None)
    urls = [_recorded(model, run.path) for model in who if model is not None and model.model.has_server]
    admit(urls, named_by=f"{run.path}/run.json", confirmed=trust)


def embedder_at(embedder: ModelSettings, beside: ModelSettings, *, given: bool = True) -> ModelSettings:
    """The embedder with its server: its own, else that of the model beside which it is asked.

    Raises:
        SettingsError: its address cannot be used.
    """
    if embedder.model.is_human:
        raise SettingsError(f"--embedder {embedder.model}: a person does not embed; name a model, or `local`")
    if embedder.model.is_local:
        return embedder
    own = checked_url(embedder.base_url, "--embedder-base-url")
    if own is not None and given:
        remember([own])
    where = own or beside.base_url or next(iter(from_environment(JUDGE)), _default())
    return embedder.model_copy(update={"base_url": where})


def scorers_at(
    settings: ScoreSettings, scorers: Sequence[str], judge: ModelSettings, *, given: bool = True
) -> ScoreSettings:
    """The settings with the servers of the embedder, where a scorer or the guide wants one, and of the image model.

    Raises:
        SettingsError: its address cannot be used.
    """
    from autointerp.scoring.settings_checks import wants_embedder

    changed: dict[str, object] = {}
    if wants_embedder(settings, scorers):
        changed["embedder"] = embedder_at(settings.embedder, judge, given=given)
    if settings.pictures is not None:
        changed["pictures"] = pictures_at(settings.pictures, given=given)
    return settings.model_copy(update=changed)


def pictures_at(settings: PictureSettings, *, given: bool = True) -> PictureSettings:
    """The settings of pictures with the server that makes them: their own, else that of OPENAI_BASE_URL, else OpenAI.

    Raises:
        SettingsError: its address cannot be used.
    """
    if settings.model.startswith(PIPELINE):
        return settings
    own = checked_url(settings.base_url, "--image-base-url")
    if own is not None and given:
        remember([own])
    return settings.model_copy(update={"base_url": own or _default()})


def candidates_at(settings: ExplainSettings, explainer: ModelSettings, *, given: bool = True) -> ExplainSettings:
    """The settings with the server of whoever tells meanings apart, where somebody does.

    Raises:
        SettingsError: its address cannot be used.
    """
    candidates = settings.candidates if settings.candidates is not None and settings.candidates.diverse else None
    name, plan = ("candidates", candidates) if settings.steer is None else ("steer", settings.steer)
    if plan is None or plan.embedder is None:
        return settings
    placed = plan.model_copy(update={"embedder": embedder_at(plan.embedder, explainer, given=given)})
    return settings.model_copy(update={name: placed})


def announce(
    progress: Progress,
    model: ModelSettings | None,
    engine: EngineSettings,
    embedder: ModelSettings | None = None,
    pictures: PictureSettings | None = None,
    *,
    outbox: "Outbox | None",
) -> None:
    """Says who will be asked, and where, before anything is sent; of a batch job only whoever is asked at once."""
    model, pictures = (model, pictures) if outbox is None else (None, None)
    for line in asking(model, engine, embedder, pictures):
        progress.note(line)


def asking(
    model: ModelSettings | None,
    engine: EngineSettings,
    embedder: ModelSettings | None = None,
    pictures: PictureSettings | None = None,
) -> Iterator[str]:
    """A line for each model that is not embedded: its name and its servers."""
    for who, more in ((model, engine.more_base_urls), (embedder, ())):
        if who is not None and who.model.has_server:
            yield one_line(f"asking {who.model} at {listed((who.base_url or OPENAI, *more))}")
    if pictures is not None and not pictures.model.startswith(PIPELINE):
        yield one_line(f"asking {pictures.model} for pictures at {pictures.base_url or OPENAI}")


def note_address(
    writer: RunWriter,
    stage: Literal["explain", "score"],
    model: ModelSettings,
    cache: Path | None,
    *,
    outbox: "Outbox | None",
) -> None:
    """Corrects run.json where a server was found to answer beneath the address that was given."""
    if outbox is not None or model.base_url is None or len(forms(model.base_url)) == 1:
        return
    with Cache(cache_folder(cache)) as store:
        found = answering_address(model.base_url, store)
    if found is not None and found != model.base_url:
        writer.answers_at(stage, found)


def _placed(
    model: ModelSettings, engine: EngineSettings, variables: Sequence[str], inherited: str | None, *, given: bool
) -> tuple[ModelSettings, EngineSettings]:
    if not model.model.has_server:
        return model, engine
    told = [checked_url(url) or "" for url in (model.base_url, *engine.more_base_urls) if url is not None]
    named = tuple(dict.fromkeys(told)) or from_environment(variables)
    if given:
        remember(named)
    first, *more = named or (inherited or _default(),)
    return model.model_copy(update={"base_url": first}), engine.model_copy(update={"more_base_urls": tuple(more)})


def _told(model: ModelSettings, engine: EngineSettings) -> bool:
    return model.base_url is not None or bool(engine.more_base_urls)


def _recorded(model: ModelSettings, run: Path) -> str | None:
    return checked_url(model.base_url, f"{run}/run.json: base_url")


def _default() -> str:
    return next(iter(from_environment(DEFAULT)), OPENAI)
