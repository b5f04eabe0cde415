"""Opens the way to whoever makes pictures of words, and says beforehand what they cost."""

import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.lmm.address import checked_url, is_private
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.prices import free, own_price_a_picture, price_a_picture
from autointerp.lmm.images.store import FOLDER, PictureStore
from autointerp.lmm.limits import Limiter
from autointerp.lmm.prices import Price, batch_multiplier, cost
from autointerp.lmm.request import Client
from autointerp.places import cache_folder
from autointerp.session.gateway import Pictured, opened
from autointerp.settings import PIPELINE, EngineSettings, PictureSettings

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.lmm.images.painter import Painter


def find_picture_price(settings: PictureSettings, prices: Path | None, *, batch: bool = False) -> Price | None:
    """What one picture costs; on this machine or a private network nothing, unless the user's file says so.

    Args:
        settings: who makes it.
        prices: the user's price file.
        batch: whether a batch job is to make it.

    Raises:
        SettingsError: the price file cannot be used.
    """
    price = _asked_at_once(settings, prices)
    return price.times(batch_multiplier(settings.model)) if price is not None and batch else price


def _asked_at_once(settings: PictureSettings, prices: Path | None) -> Price | None:
    today = datetime.datetime.now(datetime.UTC).date()
    if settings.model.startswith(PIPELINE):
        return free("a pipeline of your own", today)
    if is_private(settings.base_url):
        own = own_price_a_picture(settings.model, on=today, overrides=prices) if prices is not None else None
        return own or free("a server of your own", today)
    return price_a_picture(settings.model, size=settings.size, quality=settings.quality, on=today, overrides=prices)


def picture_dollars(n: int, price: Price | None) -> float | None:
    """What so many pictures cost; None where the price is not known."""
    return None if price is None else n * cost(price, 0, 1, 0)


def said_of_pictures(n: int, settings: PictureSettings, price: Price | None, *, batch: bool = False) -> str:
    """Says how many pictures there will be at most, and what they cost.

    Args:
        n: how many.
        settings: who makes them.
        price: of each, as `find_picture_price` gives it.
        batch: whether that is the price of a batch job.
    """
    told = f"up to {n:,} pictures by {settings.model}"
    if price is None:
        return f"{told}, at a price that is not known: state it as `image` in --prices FILE"
    each, total = cost(price, 0, 1, 0), picture_dollars(n, price) or 0.0
    if not each:
        return f"{told}, which cost nothing ({price.source})"
    how, other = (f"{price.source}, by a batch job", 1.0) if batch else (price.source, batch_multiplier(settings.model))
    less = "" if other == 1 else f", or ${total * other:,.2f} by a batch job"
    return f"{told} at ${each:,.4g} each ({how}): ${total:,.2f}{less}; what the cache holds is not paid again"


@asynccontextmanager
async def open_painter(
    settings: PictureSettings | None,
    engine: EngineSettings,
    dump: Pictured,
    ledger: Ledger,
    *,
    device: str,
    cache: Path | None,
    outbox: "Outbox | None" = None,
    say: Callable[[str], None] | None = None,
) -> AsyncIterator["Painter | None"]:
    """The way to an image model; None where `settings` is None.

    It has a limiter of its own, since it may be another server than the judge's.

    Args:
        settings: who makes pictures, and how.
        engine: how the endpoint is used.
        dump: of the run.
        ledger: of the run's budget, which knows what a picture costs.
        device: that a pipeline in this process works on.
        cache: folder of the cache, None for the usual place.
        outbox: where questions to a server go that a batch job is to answer; None asks them now.
        say: told where a server answers, where that is not its address itself.

    Raises:
        SettingsError: the address cannot be used, there is no key, a package is missing, or the cache cannot be
            written.
    """
    if settings is None:
        yield None
        return
    from autointerp.lmm.images.painter import Painter
    from autointerp.lmm.images.request import one_picture

    store = PictureStore(cache_folder(cache) / FOLDER)
    client = partial(_client, settings, engine, store, device, outbox, say)
    async with opened(client, engine, dump, ledger, one_picture, cache=cache, say=say) as gateway:
        yield Painter(gateway, store, settings.model, settings.fields)
        if outbox is None or outbox.final:
            await gateway.batch_replies.forget_unusable()


def _client(
    settings: PictureSettings,
    engine: EngineSettings,
    store: PictureStore,
    device: str,
    outbox: "Outbox | None",
    say: Callable[[str], None] | None,
    cache: Cache,
    limiter: Limiter,
) -> Client:
    if settings.model.startswith(PIPELINE):
        from autointerp.lmm.images.pipeline import PipelineClient

        return PipelineClient(settings.model.removeprefix(PIPELINE), store, device)
    if outbox is not None:
        from autointerp.batch.client import BatchClient

        return BatchClient(outbox, checked_url(settings.base_url), cache)
    from autointerp.lmm.images.client import ImagesClient

    return ImagesClient(
        settings.base_url,
        store,
        timeout=engine.timeout,
        connections=engine.concurrency,
        cache=cache,
        say=say,
    )
