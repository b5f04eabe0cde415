import datetime
import json
import re
import socket
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from autointerp.errors import SettingsError
from autointerp.lmm.prices import LongRates, Price, Rates, batch_multiplier, cost, price_of, read_prices

DAY = datetime.date(2026, 11, 23)
PRICE = Price(Rates(input=2.0, output=10.0, cached=0.5), "test", DAY)


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("gpt-6-luna", (0.1, 0.5, 0.01)),
        ("gpt-5-nano", (0.05, 0.4, 0.005)),
        ("gpt-5-mini", (0.25, 2.0, 0.025)),
        ("gpt-4.1-mini", (0.4, 1.6, 0.1)),
        ("gpt-5.4", (2.5, 15.0, 0.25)),
        ("claude-haiku-5.5", (0.1, 0.5, 0.01)),
        ("claude-sonnet-5.5", (2.0, 10.0, 0.1)),
        ("gemini-2.5-flash-lite", (0.1, 0.4, 0.01)),
        ("gemini-3.6-flash", (0.75, 3.75, 0.075)),
        ("qwen3-vl-30b-a3b", (0.2, 0.7, 0.2)),
    ],
)
def test_a_model_of_the_cost_table_has_its_price(model: str, rates: tuple[float, float, float]):
    price = price_of(model, on=DAY, overrides=None)

    assert price is not None
    assert (price.rates.input, price.rates.output, price.rates.cached) == rates
    assert price.source


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-5-mini",
        "gpt-5-mini-2025-08-07",
        "openai/gpt-5-mini-20250807",
        "GPT-5-mini",
        "azure/gpt-5-mini",
        "unheard-of-host/gpt-5-mini",
        "gpt-5-mini-2031-01-31",
    ],
)
def test_prefixes_and_dates_lead_to_the_same_price(model: str):
    price = price_of(model, on=DAY, overrides=None)

    assert price is not None
    assert price.rates == Rates(0.25, 2.0, 0.025)


@pytest.mark.parametrize(
    "model", ["models/gemini-2.5-flash-lite", "google/gemini-2.5-flash-lite", "Qwen/Qwen3-VL-30B-A3B-Instruct"]
)
def test_names_as_other_endpoints_write_them_are_found(model: str):
    assert price_of(model, on=DAY, overrides=None) is not None


@pytest.mark.parametrize("model", ["", "/", "own-model", "somebody/own-model", "my-claude", "http://localhost/v1"])
def test_an_unknown_model_has_no_price(model: str):
    assert price_of(model, on=DAY, overrides=None) is None


def test_the_price_is_that_of_the_day():
    before = price_of("qwen/qwen3-vl-30b-a3b-instruct", on=datetime.date(2026, 10, 1), overrides=None)
    after = price_of("qwen/qwen3-vl-30b-a3b-instruct", on=DAY, overrides=None)

    assert before is not None
    assert after is not None
    assert (before.rates.input, after.rates.input) == (0.13, 0.2)
    assert after.date == DAY


def test_the_embedded_model_is_free():
    price = price_of("local", on=DAY, overrides=None)

    assert price is not None
    assert cost(price, 10**9, 10**9, 0) == 0.0


def test_a_price_needs_no_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)

    assert price_of("gpt-5.2", on=DAY, overrides=None) is not None


def test_importing_the_module_does_not_load_the_price_data():
    code = "import sys, autointerp.lmm.budget; sys.exit('genai_prices' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_thousand_calls_cost_what_can_be_worked_by_hand():
    # 300 fresh tokens at $2, 100 cached at $0.5 and 50 written at $10 a million: 600 + 50 + 500 millionths.
    assert cost(PRICE, 400, 50, 100) == pytest.approx(0.00115)


def test_a_long_prompt_costs_its_own_rate_for_the_whole_call():
    price = Price(Rates(1.0, 2.0, 0.1), "test", DAY, LongRates(1000, Rates(2.0, 3.0, 0.2)))

    assert cost(price, 1000, 10, 0) == pytest.approx((1000 * 1 + 10 * 2) / 1e6)
    assert cost(price, 1001, 10, 0) == pytest.approx((1001 * 2 + 10 * 3) / 1e6)


@pytest.mark.parametrize("tokens", [1_000, 100_000, 100_001, 250_000])
@pytest.mark.parametrize("model", ["claude-haiku-5.5", "gpt-5.4", "gpt-5-mini", "gemini-3-pro-preview"])
def test_a_call_costs_what_genai_prices_itself_works_out(model: str, tokens: int):
    noon = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
    usage = Usage(input_tokens=tokens, cache_read_tokens=500, output_tokens=200)
    price = price_of(model, on=DAY, overrides=None)

    assert price is not None
    theirs = calc_price(usage, model, genai_request_timestamp=noon).total_price
    assert cost(price, tokens, 200, 500) == pytest.approx(float(theirs))


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**6))
def test_cached_input_never_costs_more_than_fresh(tokens: int, written: int, cached: int):
    assert 0 <= cost(PRICE, tokens, written, cached) <= cost(PRICE, tokens, written, 0)


@pytest.mark.parametrize(
    "model", ["gpt-6-luna", "openai/gpt-5-mini", "o4-mini", "claude-haiku-5.5", "gemini-3.6-flash"]
)
def test_a_batch_job_costs_half_at_the_three_providers(model: str):
    assert batch_multiplier(model) == 0.5


def test_a_batch_job_elsewhere_is_not_assumed_to_be_cheaper():
    assert batch_multiplier("qwen3-vl-30b-a3b") == 1.0


@pytest.mark.parametrize("model", ["gpt-5-mini", "claude-haiku-5.5", "gemini-2.5-flash-lite"])
def test_the_batch_table_agrees_with_genai_prices(model: str):
    noon = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
    usage = Usage(input_tokens=1000, output_tokens=1000)
    price = price_of(model, on=DAY, overrides=None)

    assert price is not None
    theirs = calc_price(usage, model, genai_request_timestamp=noon, price_context={"processing": "batch"}).total_price
    assert cost(price.times(batch_multiplier(model)), 1000, 1000, 0) == pytest.approx(float(theirs))


def test_half_of_a_price_halves_long_prompts_too():
    price = Price(Rates(1.0, 2.0, 0.1), "test", DAY, LongRates(1000, Rates(2.0, 3.0, 0.2)))

    assert price.times(0.5) == Price(Rates(0.5, 1.0, 0.05), "test", DAY, LongRates(1000, Rates(1.0, 1.5, 0.1)))


@pytest.mark.parametrize("table", ["prices.toml", "batch.toml", "image_tokens.toml"])
def test_each_row_of_our_tables_has_a_source_and_a_date(table: str):
    content = tomllib.loads(files("autointerp.lmm").joinpath("data", table).read_text("utf-8"))
    rows = list(content.values()) if table == "prices.toml" else next(iter(content.values()))

    assert rows
    for row in rows:
        assert row["source"]
        assert isinstance(row["date"], datetime.date)


def test_the_user_s_toml_counts_before_all_else(tmp_path: Path):
    path = tmp_path / "prices.toml"
    path.write_text('["GPT-5-mini"]\ninput = 1\noutput = 3.5\ncached = 0\nsource = "contract"\ndate = 2026-01-02\n')

    price = price_of("openai/gpt-5-mini-2025-08-07", on=DAY, overrides=path)

    assert price == Price(Rates(1.0, 3.5, 0.0), "contract", datetime.date(2026, 1, 2))


def test_the_user_s_json_needs_input_and_output_only(tmp_path: Path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"own-model": {"input": 1, "output": 3}}))

    price = price_of("own-model", on=DAY, overrides=path)

    assert price == Price(Rates(1.0, 3.0, 1.0), str(path), DAY)


def test_models_that_the_user_s_file_leaves_out_keep_their_price(tmp_path: Path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"own-model": {"input": 1, "output": 3}}))

    assert price_of("gpt-5-mini", on=DAY, overrides=path) == price_of("gpt-5-mini", on=DAY, overrides=None)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.toml", "[own]\ninput = 1\n", "own.output: Field required"),
        ("p.toml", "[own]\ninput = -1\noutput = 1\n", "own.input: Input should be greater than or equal to 0"),
        ("p.toml", "[own]\ninput = nan\noutput = 1\n", "own.input: Input should be a finite number"),
        ("p.toml", "[own]\ninput = 1\noutput = 1\ncache = 1\n", "own.cache: Extra inputs are not permitted"),
        (
            "p.toml",
            "[gpt-5.4]\ninput = 1\noutput = 1\n",
            'gpt-5: put a model name with a dot in quotes, as in ["gpt-5.4"]',
        ),
        ("p.toml", "input = 1\n", "input: Input should be a valid dictionary"),
        ("p.toml", "[own\n", "not valid TOML"),
        ("p.json", "{", "not valid JSON"),
        ("p.json", "[1]", "must be an object of models"),
        ("p.json", '{"own": {"input": "dear", "output": 1}}', "own.input: Input should be a valid number"),
        ("p.yaml", "", "read from a file that ends in .toml or .json"),
    ],
)
def test_a_faulty_file_is_named_with_its_key(tmp_path: Path, name: str, content: str, said: str):
    path = tmp_path / name
    path.write_text(content)

    with pytest.raises(SettingsError, match=re.escape(str(path))) as raised:
        price_of("gpt-5-mini", on=DAY, overrides=path)

    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_or_binary_file_is_named(tmp_path: Path):
    binary = tmp_path / "p.toml"
    binary.write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read \(No such file"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match=r"p\.toml: not valid TOML"):
        read_prices(binary)
