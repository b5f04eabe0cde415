"""What one picture costs, from data on this machine only: the user's file, then a table of ours."""

import datetime
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from autointerp.lmm.prices import Price, Rates, first_of, read_prices, spellings
from autointerp.record import Record

_A_MILLION = 1e6
"""Prices are kept by the million pieces, as those of tokens are; a picture is one piece."""


class _Row(Record):
    """A model of image_prices.toml: by quality, the price of each size."""

    source: str
    date: datetime.date
    qualities: Mapping[str, Mapping[str, float]]

    def of(self, quality: str | None, size: str | None) -> float:
        """The price of a picture; of what is not stated the dearest counts, rather too much than too little."""
        stated = self.qualities.get(quality or "")
        tables = self.qualities.values() if stated is None else [stated]
        return max(by_size.get(size or "", max(by_size.values())) for by_size in tables)


def price_a_picture(
    model: str, *, size: str | None, quality: str | None, on: datetime.date, overrides: Path | None
) -> Price | None:
    """Finds what a picture costs, as the price of one piece of output.

    Args:
        model: name as sent to the endpoint.
        size: such as `1024x1024`; None for the endpoint's own.
        quality: such as `low`; None for the endpoint's own.
        on: the day of the calls.
        overrides: the user's price file, in which `image` is the price of a picture; None for none.

    Raises:
        SettingsError: the file cannot be used.
    """
    if overrides is not None and (own := own_price_a_picture(model, on=on, overrides=overrides)) is not None:
        return own
    row = first_of(_table(), spellings(model))
    return None if row is None else _price(row.of(quality, size), row.source, row.date)


def own_price_a_picture(model: str, *, on: datetime.date, overrides: Path) -> Price | None:
    """Finds what a picture costs in the user's file alone.

    Raises:
        SettingsError: the file cannot be used.
    """
    row = first_of(read_prices(overrides), spellings(model))
    if row is None or row.image is None:
        return None
    return _price(row.image, row.source or str(overrides), row.date or on)


def free(source: str, on: datetime.date) -> Price:
    """The price of pictures that cost nothing."""
    return _price(0.0, source, on)


def _price(dollars: float, source: str, date: datetime.date) -> Price:
    return Price(Rates(0.0, dollars * _A_MILLION, 0.0), source, date)


@cache
def _table() -> dict[str, _Row]:
    text = files("autointerp.lmm").joinpath("data/image_prices.toml").read_text("utf-8")
    out: dict[str, _Row] = {}
    for model, row in tomllib.loads(text).items():
        qualities = {name: value for name, value in row.items() if isinstance(value, dict)}
        out[model] = _Row(source=row["source"], date=row["date"], qualities=qualities)
    return out
