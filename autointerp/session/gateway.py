"""Opens the gateway to the LMM for one command: renderer, cache, limiter, ledger and client, put together."""

import datetime
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from autointerp.batch.client import BatchClient, Outbox
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.images.decode import MAX_PIXELS
from autointerp.images.render import picture_size
from autointerp.images.renderer import Renderer
from autointerp.lmm.address import is_private
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache, cache_folder
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate, estimate_request
from autointerp.lmm.limits import Limiter
from autointerp.lmm.load_balancer import Balancer
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.prices import Price, Rates, price_of
from autointerp.lmm.request import Client, Request
from autointerp.lmm.uuid_client import UuidClient
from autointerp.session.tasks import LOCAL_ANSWERERS, TASKS
from autointerp.settings import LOCAL, EngineSettings, ModelSettings

DECODED_MB, ENCODED_MB = 128, 64


def expected_output(request: Request) -> int:
    """Tokens that the reply to a request usually has."""
    return TASKS[request.task].expected_tokens(request)


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

    return settings.of(local_model_name(LOCAL_ANSWERERS)).model_copy(update={"base_url": None})


def find_price(settings: ModelSettings, prices: Path | None, more: Sequence[str] = ()) -> Price | None:
    """What the model costs; a server on this machine or a private network costs nothing unless the user's file says so.

    Raises:
        SettingsError: the price file cannot be used.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    if settings.model.is_local:
        return price_of(LOCAL, on=today, overrides=None)
    listed = price_of(settings.model, on=today, overrides=prices)
    if listed is not None and prices is not None and listed.source == str(prices):
        return listed
    if all(is_private(url) for url in (settings.base_url, *more)):
        return Price(Rates(0.0, 0.0, 0.0), "a server of your own", today)
    return listed


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
    outbox: Outbox | None = None,
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
    known: dict[str, Price | None] = {m.model: find_price(m, prices, engine.more_base_urls) for m in asked}
    ledger = Ledger(engine.budget, known)
    limiter = Limiter(
        engine.concurrency,
        requests_per_minute=engine.requests_per_minute,
        tokens_per_minute=engine.tokens_per_minute,
    )
    renderer = open_renderer(dump)
    try:
        with Cache(cache_folder(cache), say) as store:
            client, close = _client(model, engine, store, limiter, outbox, say)
            gateway = Gateway(client, store, limiter, ledger, renderer, attempts=engine.attempts, estimate=estimate)
            try:
                yield gateway
                if outbox is None or outbox.final:
                    await gateway.batch_replies.forget_unusable()
            finally:
                if close is not None:
                    await close.aclose()
    finally:
        renderer.close()


def _client(
    model: ModelSettings,
    engine: EngineSettings,
    cache: Cache,
    limiter: Limiter,
    outbox: Outbox | None,
    say: Callable[[str], None] | None,
) -> tuple[Client, OpenAIClient | Balancer | BatchClient | None]:
    if outbox is not None:
        deferring = outbox.client(model.base_url, cache)
        return deferring, deferring
    if model.model.is_local:
        from autointerp.lmm.local.client import LocalClient

        return LocalClient(LOCAL_ANSWERERS), None
    urls = tuple(dict.fromkeys((model.base_url, *engine.more_base_urls)))
    if engine.image_uuids and len(urls) > 1:
        raise SettingsError("--image-uuids: what one server has seen another has not; name a single --base-url with it")
    kind = UuidClient if engine.image_uuids else OpenAIClient
    clients = [kind(url, timeout=engine.timeout, connections=engine.concurrency, cache=cache, say=say) for url in urls]
    remote = clients[0] if len(clients) == 1 else Balancer(clients, limiter)
    return remote, remote
