"""What a picture costs."""

from datetime import date
from pathlib import Path

import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.images.prices import price_a_picture
from autointerp.lmm.prices import cost, read_prices

ON = date(2026, 11, 29)


def dollars(model: str, size: str | None, quality: str | None, overrides: Path | None = None) -> float | None:
    price = price_a_picture(model, size=size, quality=quality, on=ON, overrides=overrides)
    return None if price is None else cost(price, 0, 1, 0)


def test_a_picture_is_priced_by_size_and_quality_and_what_is_not_stated_counts_as_the_dearest():
    assert dollars("gpt-image-1", "1024x1024", "low") == pytest.approx(0.011)
    assert dollars("openai/gpt-image-1", "1536x1024", "medium") == pytest.approx(0.063)
    assert dollars("gpt-image-1", "1024x1024", None) == pytest.approx(0.167)
    assert dollars("gpt-image-1", None, "low") == pytest.approx(0.016)
    assert dollars("dall-e-3", "512x512", "standard") == pytest.approx(0.08)
    assert dollars("nobody-knows", "1024x1024", None) is None


def test_the_users_file_counts_first_and_may_price_pictures_alone(tmp_path: Path):
    file = tmp_path / "prices.toml"
    file.write_text('["gpt-image-1"]\nimage = 0.5\nsource = "contract"\n[chat]\ninput = 1\noutput = 2\n')

    assert dollars("gpt-image-1", "1024x1024", "low", file) == pytest.approx(0.5)
    assert dollars("dall-e-2", "256x256", None, file) == pytest.approx(0.016)
    assert dollars("chat", None, None, file) is None


def test_a_row_with_a_price_of_tokens_needs_both(tmp_path: Path):
    file = tmp_path / "prices.toml"
    file.write_text("[both]\nimage = 0.5\ninput = 1\n")

    with pytest.raises(SettingsError, match=r"both\.output: Field required"):
        read_prices(file)
