"""Opens the gateway to an embedder, for runs whose scorers want one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from autointerp.dump.reader import Dump
from autointerp.images.render import picture_size
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache, cache_folder
from autointerp.lmm.embedding import EmbeddingsClient, GatewayEmbedder
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate, estimate_request
from autointerp.lmm.limits import Limiter
from autointerp.lmm.request import Client, Request
from autointerp.scoring.cases import Cases
from autointerp.scoring.scorer_list import SCORERS
from autointerp.session.gateway import open_renderer, resolve_model
from autointerp.settings import EngineSettings, ModelSettings, ScoreSettings


def embedder_of(settings: ScoreSettings, scorers: tuple[str, ...]) -> ModelSettings | None:
    """Who embeds, the embedded model by its full name; None where no scorer wants it.

    Raises:
        AutointerpError: the embedded model is not installed.
    """
    return resolve_model(settings.embedder) if any(SCORERS[name].needs_embedder for name in scorers) else None


@asynccontextmanager
async def embedder_on(
    cases: Cases | None,
    model: ModelSettings | None,
    engine: EngineSettings,
    dump: Dump,
    *,
    cache: Path | None,
    say: Callable[[str], None] | None = None,
) -> AsyncIterator[None]:
    """Gives the cases an embedder while the context lasts; does nothing where `model` is None.

    Raises:
        SettingsError: as `open_embedder`.
    """
    async with open_embedder(model if cases else None, engine, dump, cache=cache, say=say) as embedder:
        if cases is not None and embedder is not None:
            cases.embedder = embedder
        yield


@asynccontextmanager
async def open_embedder(
    model: ModelSettings | None,
    engine: EngineSettings,
    dump: Dump,
    *,
    cache: Path | None,
    say: Callable[[str], None] | None = None,
) -> AsyncIterator[GatewayEmbedder | None]:
    """The way to an embedder; None where `model` is None.

    It has a limiter of its own, since it may be another server than the judge's, and no share in the budget.

    Raises:
        SettingsError: the address cannot be used, there is no key, or the cache cannot be written.
    """
    if model is None:
        yield None
        return
    limiter = Limiter(
        engine.concurrency,
        requests_per_minute=engine.requests_per_minute,
        tokens_per_minute=engine.tokens_per_minute,
    )
    ledger = Ledger(None, {model.model: None})
    renderer = open_renderer(dump)
    try:
        with Cache(cache_folder(cache), say) as store:
            client, close = _client(model, engine, store, say)
            try:
                gateway = Gateway(
                    client, store, limiter, ledger, renderer, attempts=engine.attempts, estimate=_estimate
                )
                yield GatewayEmbedder(gateway, model.model)
            finally:
                if close is not None:
                    await close.aclose()
    finally:
        renderer.close()


def _client(
    model: ModelSettings, engine: EngineSettings, cache: Cache, say: Callable[[str], None] | None
) -> tuple[Client, EmbeddingsClient | None]:
    if model.model.is_local:
        from autointerp.lmm.local.embedding import LocalEmbeddings

        return LocalEmbeddings(), None
    remote = EmbeddingsClient(model, timeout=engine.timeout, connections=engine.concurrency, cache=cache, say=say)
    return remote, remote


def _estimate(request: Request) -> TokenEstimate:
    return estimate_request(request, picture_size, 0)
