"""What a model's tokens cost, from data on this machine only: the user's file, genai-prices, a small table of ours."""

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field, ValidationError, model_validator

from autointerp.errors import SettingsError
from autointerp.reading import read_json, read_toml
from autointerp.record import Record

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import TieredPrices

Row = TypeVar("Row")
LOCAL_MODEL = "local"
"""Name of the embedded model, which costs nothing."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Holds prices in $ per million tokens."""

    input: float
    output: float
    cached: float
    """Input that the endpoint read from its own prefix cache."""

    def times(self, factor: float) -> "Rates":
        """Returns the same at `factor` of each."""
        return Rates(self.input * factor, self.output * factor, self.cached * factor)


@dataclass(frozen=True, slots=True)
class LongRates:
    """What a whole call costs whose input is longer than `above` tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs, and who says so."""

    rates: Rates
    source: str
    date: datetime.date
    """The day for which the price was looked up, or that its table gives."""
    long: LongRates | None = None
    """None: a long prompt costs no more a token than a short one."""

    def times(self, factor: float) -> "Price":
        """Returns the same at `factor` of the rates, such as that of a batch job."""
        long = replace(self.long, rates=self.long.rates.times(factor)) if self.long else None
        return replace(self, rates=self.rates.times(factor), long=long)


class PriceRow(Record):
    """One model of a `--prices` file, $ per million tokens.

    In TOML, the name in quotes; in JSON, an object of such objects:

        ["my-image-model"]
        image = 0.04        # $ a picture, of a model that makes pictures

        ["my-model-7"]
        input = 0.25
        output = 2.0
        cached = 0.025      # optional: cached input, by default as dear as other input
        source = "contract" # optional
        date = 2026-11-23   # optional
    """

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    image: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """$ a picture, of a model that makes pictures; a row that states it alone prices no tokens."""
    source: str | None = None
    date: datetime.date | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_pictures(cls, value: object) -> object:
        priced = isinstance(value, dict) and "image" in value and not {"input", "output", "cached"} & value.keys()
        return {"input": 0.0, "output": 0.0} | value if priced and isinstance(value, dict) else value


def price_of(model: str, *, on: datetime.date, overrides: Path | None) -> Price | None:
    """Finds the price of a model, without any network access.

    The user's file counts before genai-prices, and that before our own table. A name is tried as given, then without
    its provider's prefix, each also without a date at its end.

    Args:
        model: name as sent to the endpoint, e.g. `gpt-5-mini` or `openai/gpt-5-mini-2025-08-07`.
        on: the day of the calls; prices change.
        overrides: a TOML or JSON file of `PriceRow`s by model name, or None.

    Raises:
        SettingsError: the file cannot be read, or names a key or value that it must not.
    """
    if overrides is not None and (own := own_price_of(model, overrides, on=on)):
        return own
    if model == LOCAL_MODEL:
        return Price(Rates(0.0, 0.0, 0.0), "the embedded model is free", on)
    names = spellings(model)
    if known := _from_genai_prices(names, on):
        return known
    row = first_of(_our_prices(), names)
    return _from_row(row, "autointerp", on) if row else None


def own_price_of(model: str, prices: Path, *, on: datetime.date) -> Price | None:
    """Finds the price of a model in the user's file alone.

    Raises:
        SettingsError: as for `price_of`.
    """
    row = first_of(read_prices(prices), spellings(model))
    return _from_row(row, str(prices), on) if row else None


def cost(price: Price, input_tokens: int, output_tokens: int, cached_tokens: int) -> float:
    """Computes the dollars of one call; sums are sums of such costs, since long prompts can cost more.

    Args:
        price: of the model that answered.
        input_tokens: all input, cached or not.
        output_tokens: all output, thinking included.
        cached_tokens: the part of the input that came from the endpoint's prefix cache.
    """
    rates = price.long.rates if price.long and input_tokens > price.long.above else price.rates
    cached = min(cached_tokens, input_tokens)
    return ((input_tokens - cached) * rates.input + cached * rates.cached + output_tokens * rates.output) / 1e6


def batch_multiplier(model: str) -> float:
    """Returns the price of a batch job relative to single calls: 0.5 at OpenAI, Anthropic and Google, else 1."""
    bare = model.lower().rsplit("/", 1)[-1]
    return next((multiplier for pattern, multiplier in _batch_rows() if re.search(pattern, bare)), 1.0)


def read_prices(path: Path) -> dict[str, PriceRow]:
    """Reads a `--prices` file into rows by lower-case model name.

    Raises:
        SettingsError: naming the file, and the model and key where they can be named.
    """
    if path.suffix not in (".toml", ".json"):
        raise SettingsError(f"{path}: prices are read from a file that ends in .toml or .json")
    try:
        text = path.read_text("utf-8")
        table: object = read_toml(text) if path.suffix == ".toml" else read_json(text)
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read ({e.strerror}); --prices needs a TOML or JSON file") from e
    except ValueError as e:
        raise SettingsError(f"{path}: not valid {path.suffix[1:].upper()}: {e}") from e
    if not isinstance(table, dict):
        raise SettingsError(f'{path}: must be an object of models, such as {{"my-model": {{"input": 1, "output": 2}}}}')
    return {str(name).lower(): _row(path, str(name), row) for name, row in table.items()}


def _row(path: Path, name: str, row: object) -> PriceRow:
    if isinstance(row, dict) and any(isinstance(value, dict) for value in row.values()):
        raise SettingsError(f'{path}: {name}: put a model name with a dot in quotes, as in ["gpt-5.4"]')
    try:
        return PriceRow.model_validate(row)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join([name, *map(str, first["loc"])])
        raise SettingsError(
            f"{path}: {where}: {first['msg']}; a model has input and output, and may have cached ($ per million "
            "tokens), source and date; one that makes pictures has image ($ a picture)"
        ) from e


DATE_AT_END = re.compile(r"[-@](20\d\d-?[01]\d-?[0-3]\d)$")


def spellings(model: str) -> tuple[str, ...]:
    """Every name that the model may be listed under, most telling first."""
    return tuple(_spellings(model))


def _spellings(model: str) -> Iterator[str]:
    name = model.strip().lower().removeprefix("models/")
    for spelling in dict.fromkeys((name, name.rsplit("/", 1)[-1])):
        yield spelling
        undated = DATE_AT_END.sub("", spelling)
        if undated != spelling:
            yield undated


def first_of(rows: Mapping[str, Row], names: tuple[str, ...]) -> Row | None:
    """The first row that one of the names has; None where none has."""
    return next((rows[name] for name in names if name in rows), None)


def _from_row(row: PriceRow, source: str, on: datetime.date) -> Price:
    cached = row.input if row.cached is None else row.cached
    return Price(Rates(row.input, row.output, cached), row.source or source, row.date or on)


@cache
def _our_prices() -> dict[str, PriceRow]:
    table = tomllib.loads(files("autointerp.lmm").joinpath("data/prices.toml").read_text("utf-8"))
    return {name: PriceRow.model_validate(row) for name, row in table.items()}


@cache
def _batch_rows() -> tuple[tuple[str, float], ...]:
    table = tomllib.loads(files("autointerp.lmm").joinpath("data/batch.toml").read_text("utf-8"))
    return tuple((row["pattern"], row["multiplier"]) for row in table["batch"])


def _from_genai_prices(names: tuple[str, ...], on: datetime.date) -> Price | None:
    for spelling in names:
        provider, _, rest = spelling.partition("/")
        # `openai/gpt-5-mini` is a name at OpenRouter or a provider's prefix; either way the named provider's own
        # price is the better known, and OpenRouter passes it on.
        places = [(provider, rest), ("openrouter", spelling)] if rest else [(None, spelling)]
        for provider_id, name in places:
            if price := _genai_price(name, provider_id, on):
                return price
    return None


def _genai_price(name: str, provider_id: str | None, on: datetime.date) -> Price | None:
    from genai_prices import __version__, calc_price
    from genai_prices.types import Usage

    # Noon, because a few providers have cheaper nights.
    noon = datetime.datetime.combine(on, datetime.time(12), tzinfo=datetime.UTC)
    try:
        found = calc_price(Usage(), name, provider_id=provider_id, genai_request_timestamp=noon)
    except LookupError:
        return None
    stored = found.model_price
    if stored.input_mtok is None or stored.output_mtok is None:
        return None
    cached = stored.input_mtok if stored.cache_read_mtok is None else stored.cache_read_mtok
    listed = (stored.input_mtok, stored.output_mtok, cached)
    source = f"genai-prices {__version__}, {found.provider.name}"
    starts = [start for price in listed if (start := _long_start(price)) is not None]
    # Of several steps the dearest is taken from the first on: rather too much than too little.
    long = LongRates(min(starts), _rates(listed, dearest=True)) if starts else None
    return Price(_rates(listed, dearest=False), source, on, long)


def _long_start(price: "Decimal | TieredPrices") -> int | None:
    from genai_prices.types import TieredPrices

    return price.tiers[0].start if isinstance(price, TieredPrices) and price.tiers else None


def _rates(listed: "tuple[Decimal | TieredPrices, ...]", *, dearest: bool) -> Rates:
    from genai_prices.types import TieredPrices

    rates: list[float] = []
    for price in listed:
        if isinstance(price, TieredPrices):
            rates.append(float(max(tier.price for tier in price.tiers) if dearest and price.tiers else price.base))
        else:
            rates.append(float(price))
    return Rates(*rates)
