"""Opens the gateway to the LMM for one command: tasks, renderer, cache, limiter, ledger and client, put together."""

import datetime
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.explanation.explainer import DOMAIN, EXPLAIN
from autointerp.images.decode import MAX_PIXELS
from autointerp.images.render import picture_size
from autointerp.images.renderer import Renderer
from autointerp.lmm.address import checked_url, is_private
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate, estimate_request
from autointerp.lmm.limits import Limiter
from autointerp.lmm.openai_client import OpenAIClient, UuidClient
from autointerp.lmm.prices import Price, Rates, own_price_of, price_of
from autointerp.lmm.request import Client, Connected, Request
from autointerp.lmm.task import Task
from autointerp.places import cache_folder
from autointerp.settings import LOCAL, EngineSettings, ModelSettings, ScoreSettings

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.lmm.embedding import GatewayEmbedder

DECODED_MB, ENCODED_MB = 128, 64


_EXPLAINING: Mapping[str, Task] = {t.name: t for t in (EXPLAIN, DOMAIN)}
"""What most of `explain` asks, which needs no scorer."""


def expected_output(request: Request) -> int:
    """Tokens that the reply to a request usually has."""
    task = _EXPLAINING.get(request.task)
    if task is None:
        from autointerp.session.tasks import TASKS

        task = TASKS[request.task]
    return task.expected_tokens(request)


def estimate(request: Request) -> TokenEstimate:
    """Tokens in and out that a request may use."""
    return estimate_request(request, picture_size, expected_output(request))


def resolve_model(settings: ModelSettings) -> ModelSettings:
    """The settings with the model's full name: the embedded one is named by its weights, so no cache mixes two.

    Raises:
        AutointerpError: the embedded model is not installed.
    """
    if not settings.model.is_local:
        return settings
    from autointerp.lmm.local.client import local_model_name
    from autointerp.session.tasks import LOCAL_ANSWERERS

    return settings.of(local_model_name(LOCAL_ANSWERERS)).model_copy(update={"base_url": None})


def find_price(settings: ModelSettings, prices: Path | None, more: Sequence[str] = ()) -> Price | None:
    """What the model costs; a server on this machine or a private network costs nothing unless the user's file says so.

    Raises:
        SettingsError: the price file cannot be used.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    if settings.model.is_local:
        return price_of(LOCAL, on=today, overrides=None)
    if all(is_private(url) for url in (settings.base_url, *more)):
        own = own_price_of(settings.model, prices, on=today) if prices is not None else None
        return own or Price(Rates(0.0, 0.0, 0.0), "a server of your own", today)
    return price_of(settings.model, on=today, overrides=prices)


def open_renderer(dump: Dump) -> Renderer:
    """Makes pictures of a dump's images, with as many threads as there are cores."""
    return Renderer(
        dump.image_source,
        workers=max(2, os.cpu_count() or 2),
        decoded_mb=DECODED_MB,
        encoded_mb=ENCODED_MB,
        max_pixels=MAX_PIXELS,
    )


@asynccontextmanager
async def open_gateway(
    model: ModelSettings,
    engine: EngineSettings,
    dump: Dump,
    *,
    cache: Path | None,
    prices: Path | None,
    outbox: "Outbox | None" = None,
    others: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
) -> AsyncIterator[Gateway]:
    """The gateway for one model over one dump; closes all that it opened.

    Args:
        model: as `resolve_model` gave it.
        engine: how the endpoint is used.
        dump: where images come from.
        cache: folder of the cache, None for the usual place.
        prices: the user's price file.
        outbox: where questions go that are to be answered later; None asks them now.
        others: further models that are asked at the same endpoint.
        say: told where a server answers, where that is not its address itself.

    Raises:
        SettingsError: no key, no price for a budget in dollars, or a cache that cannot be written.
    """
    asked = [model.of(name) for name in (model.model, *others)]
    ledger = Ledger(engine.budget, {m.model: find_price(m, prices, engine.more_base_urls) for m in asked})
    client = partial(_client, model, engine, outbox, say)
    async with _opened(client, engine, dump, ledger, estimate, cache=cache, say=say) as gateway:
        yield gateway
        if outbox is None or outbox.final:
            await gateway.batch_replies.forget_unusable()


def embedder_of(settings: ScoreSettings, scorers: tuple[str, ...]) -> ModelSettings | None:
    """Who embeds, the embedded model by its full name; None where neither a scorer nor the guide wants it.

    Raises:
        AutointerpError: the embedded model is not installed.
    """
    from autointerp.scoring.settings_checks import wants_embedder

    return resolve_model(settings.embedder) if wants_embedder(settings, scorers) else None


@asynccontextmanager
async def open_embedder(
    model: ModelSettings | None,
    engine: EngineSettings,
    dump: Dump,
    *,
    cache: Path | None,
    say: Callable[[str], None] | None = None,
) -> AsyncIterator["GatewayEmbedder | None"]:
    """The way to an embedder; None where `model` is None.

    It has a limiter of its own, since it may be another server than the judge's, and no share in the budget.

    Raises:
        SettingsError: the address cannot be used, there is no key, or the cache cannot be written.
    """
    if model is None:
        yield None
        return
    from autointerp.lmm.embedding import GatewayEmbedder

    client, ledger = partial(_embedding_client, model, engine, say), Ledger(None, {model.model: None})
    tokens = partial(estimate_request, picture_size=picture_size, output_tokens=0)
    async with _opened(client, engine, dump, ledger, tokens, cache=cache, say=say) as gateway:
        yield GatewayEmbedder(gateway, model.model)


@asynccontextmanager
async def _opened(
    client: Callable[[Cache, Limiter], Client],
    engine: EngineSettings,
    dump: Dump,
    ledger: Ledger,
    tokens: Callable[[Request], TokenEstimate],
    *,
    cache: Path | None,
    say: Callable[[str], None] | None,
) -> AsyncIterator[Gateway]:
    """A gateway to whom `client` makes; closes all that it opened."""
    limiter = Limiter(
        engine.concurrency,
        requests_per_minute=engine.requests_per_minute,
        tokens_per_minute=engine.tokens_per_minute,
    )
    async with AsyncExitStack() as stack:
        renderer = stack.enter_context(closing(open_renderer(dump)))
        store = stack.enter_context(Cache(cache_folder(cache), say))
        asked = client(store, limiter)
        if isinstance(asked, Connected):
            stack.push_async_callback(asked.aclose)
        yield Gateway(asked, store, limiter, ledger, renderer, attempts=engine.attempts, estimate=tokens)


def _client(
    model: ModelSettings,
    engine: EngineSettings,
    outbox: "Outbox | None",
    say: Callable[[str], None] | None,
    cache: Cache,
    limiter: Limiter,
) -> Client:
    if outbox is not None:
        from autointerp.batch.client import BatchClient

        return BatchClient(outbox, checked_url(model.base_url), cache)
    if model.model.is_local:
        from autointerp.lmm.local.client import LocalClient
        from autointerp.session.tasks import LOCAL_ANSWERERS

        return LocalClient(LOCAL_ANSWERERS)
    urls = tuple(dict.fromkeys((model.base_url, *engine.more_base_urls)))
    if engine.image_uuids and len(urls) > 1:
        raise SettingsError("--image-uuids: what one server has seen another has not; name a single --base-url with it")
    kind = UuidClient if engine.image_uuids else OpenAIClient
    clients = [kind(url, timeout=engine.timeout, connections=engine.concurrency, cache=cache, say=say) for url in urls]
    if len(clients) == 1:
        return clients[0]
    from autointerp.lmm.load_balancer import Balancer

    return Balancer(clients, limiter)


def _embedding_client(
    model: ModelSettings, engine: EngineSettings, say: Callable[[str], None] | None, cache: Cache, limiter: Limiter
) -> Client:
    if model.model.is_local:
        from autointerp.lmm.local.embedding import LocalEmbeddings

        return LocalEmbeddings()
    from autointerp.lmm.embedding import EmbeddingsClient

    return EmbeddingsClient(model, timeout=engine.timeout, connections=engine.concurrency, cache=cache, say=say)
