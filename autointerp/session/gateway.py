"""Opens the gateway to the LMM for one command: tasks, renderer, cache, limiter, ledger and client, put together."""

import datetime
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.explanation.explainer import DOMAIN, EXPLAIN
from autointerp.images.decode import MAX_PIXELS
from autointerp.images.pixel_file import FOLDER, open_pixels
from autointerp.images.render import picture_size
from autointerp.images.renderer import Renderer
from autointerp.lmm.address import checked_url, is_private
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate, estimate_request
from autointerp.lmm.images.edits import EDIT
from autointerp.lmm.images.request import PICTURE, one_picture
from autointerp.lmm.limits import Limiter
from autointerp.lmm.openai_client import OpenAIClient, UuidClient
from autointerp.lmm.prices import Price, Rates, own_price_of, price_of
from autointerp.lmm.request import Client, Completion, Connected, Images, Request
from autointerp.lmm.task import Task
from autointerp.places import cache_folder
from autointerp.remote.path import AnyPath
from autointerp.settings import LOCAL, EngineSettings, ModelSettings, ScoreSettings

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.lmm.embedding import GatewayEmbedder
    from autointerp.session.person import Sitting

DECODED_MB, ENCODED_MB = 128, 64


@dataclass(frozen=True)
class Loose:
    """Images that lie in no dump, of which pictures are made all the same."""

    digest: str
    """16 hex digits or more, by which what is decoded of them is remembered."""
    image_source: Callable[[int], bytes | AnyPath]
    """Gives the file of an image, or its bytes."""


Pictured = Dump | Loose
"""Whatever pictures are made of."""


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
    """Tokens in and out that a request may use; one piece where it asks for a picture."""
    if request.task in (PICTURE, EDIT):
        return one_picture(request)
    return estimate_request(request, picture_size, expected_output(request))


def resolve_model(settings: ModelSettings) -> ModelSettings:
    """The settings with the full name of a model or a person.

    The embedded model is named by its weights, so that no cache mixes two; a person who gave no name has that of the
    account.

    Raises:
        AutointerpError: the embedded model is not installed, the account's name is none that a person may have, or a
            model of transformers is named, which answers steered questions alone.
    """
    if settings.model.is_transformers:
        raise SettingsError(
            f"--model {settings.model}: a model of transformers is asked by `explain --steer` alone; name a model "
            "that an endpoint has"
        )
    if settings.model.is_human:
        from autointerp.session.person import full_name

        return settings.of(full_name(settings.model)).model_copy(update={"base_url": None})
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
    if settings.model.is_human:
        return Price(Rates(0.0, 0.0, 0.0), "a person is paid otherwise", today)
    if settings.model.is_transformers:
        return Price(Rates(0.0, 0.0, 0.0), "a model in this process", today)
    if all(is_private(url) for url in (settings.base_url, *more)):
        own = own_price_of(settings.model, prices, on=today) if prices is not None else None
        return own or Price(Rates(0.0, 0.0, 0.0), "a server of your own", today)
    return price_of(settings.model, on=today, overrides=prices)


def open_renderer(dump: Pictured, cache: Path | None = None) -> Renderer:
    """Makes pictures of a dump's images, with as many threads as there are cores.

    Args:
        dump: where images come from.
        cache: the folder in which decoded images are kept, None for nowhere.
    """
    kept = open_pixels(cache / FOLDER, dump.digest[:16]) if cache is not None else None
    return Renderer(
        dump.image_source,
        workers=max(2, os.cpu_count() or 2),
        decoded_mb=DECODED_MB,
        encoded_mb=ENCODED_MB,
        max_pixels=MAX_PIXELS,
        kept=kept,
    )


@asynccontextmanager
async def open_gateway(
    model: ModelSettings,
    engine: EngineSettings,
    dump: Pictured,
    *,
    cache: Path | None,
    prices: Path | None,
    outbox: "Outbox | None" = None,
    others: Sequence[str] = (),
    idle: bool = False,
    also: Mapping[str, Price | None] | None = None,
    say: Callable[[str], None] | None = None,
    sitting: "Sitting | None" = None,
    steered: Client | None = None,
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
        idle: whether nothing will be asked, so that neither a key, an address nor a price is needed.
        also: what else is paid from the budget, with its price.
        say: told where a server answers, where that is not its address itself.
        sitting: where a person is asked; None where only a model can be.
        steered: who answers where the model is steered in this process; None where it is not.

    Raises:
        SettingsError: no key, no price for a budget in dollars, a cache that cannot be written, or a person where only
            a model can be asked.
    """
    asked = [] if idle else [model.of(name) for name in (model.model, *others)]
    priced = {m.model: find_price(m, prices, engine.more_base_urls) for m in asked}
    ledger = Ledger(engine.budget, priced | dict(also or {}))
    if idle:
        client = _nobody
    elif steered is not None:
        client = partial(_given, steered)
    elif model.model.is_human:
        from autointerp.session.person import person_at

        client = person_at(model.model, engine, sitting, say)
    else:
        client = partial(_client, model, engine, outbox, say)
    async with opened(client, engine, dump, ledger, estimate, cache=cache, say=say) as gateway:
        gateway.first_alone = not model.model.is_human
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
    dump: Pictured,
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
    async with opened(client, engine, dump, ledger, tokens, cache=cache, say=say) as gateway:
        yield GatewayEmbedder(gateway, model.model)


@asynccontextmanager
async def opened(
    client: Callable[[Cache, Limiter], Client],
    engine: EngineSettings,
    dump: Pictured,
    ledger: Ledger,
    tokens: Callable[[Request], TokenEstimate],
    *,
    cache: Path | None,
    say: Callable[[str], None] | None,
) -> AsyncIterator[Gateway]:
    """A gateway to whom `client` makes; closes all that it opened.

    Args:
        client: makes who answers, of the cache and the limiter.
        engine: how the endpoint is used.
        dump: where images come from.
        ledger: the budget.
        tokens: what a request may use.
        cache: folder of the cache, None for the usual place.
        say: told of damaged rows.
    """
    limiter = Limiter(
        engine.concurrency,
        requests_per_minute=engine.requests_per_minute,
        tokens_per_minute=engine.tokens_per_minute,
    )
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Cache(cache_folder(cache), say))
        renderer = stack.enter_context(closing(open_renderer(dump, store.folder)))
        asked = client(store, limiter)
        if isinstance(asked, Connected):
            stack.push_async_callback(asked.aclose)
        yield Gateway(asked, store, limiter, ledger, renderer, attempts=engine.attempts, estimate=tokens)


class _Nobody:
    """Stands for a client where no question is asked."""

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        """Is never called, since nothing is asked."""
        raise AssertionError(f"a question was asked, of the task {request.task}, where none was expected")


def _nobody(cache: Cache, limiter: Limiter) -> Client:
    return _Nobody()


def _given(client: Client, cache: Cache, limiter: Limiter) -> Client:
    return client


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
