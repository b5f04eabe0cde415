import asyncio
from pathlib import Path

import pytest

from autointerp.lmm.body import Dialect, dialect_key, first_dialect, known_dialect
from autointerp.lmm.cache import Cache

FULL = Dialect()


@pytest.mark.parametrize(
    ("complaint", "change"),
    [
        ("This response_format type is unavailable now", {"reply_format": "json_object"}),
        ("'json_schema' is not supported by this model", {"reply_format": "json_object"}),
        ("failed to parse grammar", {"reply_format": "json_object"}),
        (
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            {"token_field": "max_completion_tokens"},
        ),
        ("Unsupported value: 'temperature' does not support 0.0 with this model.", {"temperature": False}),
        ("Extra inputs are not permitted seed", {"seed": False}),
        ("Unexpected fields in the request: {'seed'}", {"seed": False}),
    ],
)
def test_a_complaint_takes_away_what_it_names(complaint: str, change: dict[str, object]):
    assert FULL.without(complaint) == FULL.model_copy(update=change)


@pytest.mark.parametrize(
    "complaint",
    [
        "",
        "max_tokens is too large: 8000. This model's maximum context length is 4096 tokens",
        "Invalid image data",
        "seedling not found",
    ],
)
def test_a_complaint_about_something_else_takes_nothing_away(complaint: str):
    assert FULL.without(complaint) is None


def test_the_reply_format_loosens_in_two_steps_and_then_there_is_nothing_left():
    once = FULL.without("response_format")
    assert once is not None
    twice = once.without("response_format")
    assert twice is not None

    assert (once.reply_format, twice.reply_format) == ("json_object", "none")
    assert twice.without("response_format") is None


@pytest.mark.parametrize("name", ["temperature", "seed"])
def test_what_is_already_left_out_is_not_left_out_again(name: str):
    assert FULL.model_copy(update={name: False}).without(f"{name} is bad") is None


def test_a_server_that_knows_only_the_older_name_gets_it():
    newer = Dialect(token_field="max_completion_tokens")

    older = newer.without("unknown field: max_completion_tokens")

    assert older == Dialect(token_field="max_tokens")


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("http://localhost:8000/v1", "max_tokens"),
    ],
)
def test_openai_is_spoken_to_in_its_newer_words(base_url: str | None, field: str):
    assert first_dialect(base_url) == FULL.model_copy(update={"token_field": field})


def test_every_server_and_model_has_a_dialect_of_its_own():
    places = [(None, "m"), (None, "n"), ("http://a/v1", "m"), ("http://b/v1", "m")]

    assert len({dialect_key(*place) for place in places}) == 4


def test_what_another_version_remembered_of_an_endpoint_is_found_out_anew(tmp_path: Path):
    async def main(cache: Cache) -> None:
        await cache.put(dialect_key("http://one/v1", "m"), Dialect(seed=False).model_dump())
        await cache.put(dialect_key("http://two/v1", "m"), {"reply_format": "yaml", "colour": "blue"})

    with Cache(tmp_path) as cache:
        asyncio.run(main(cache))

        assert known_dialect(cache, "http://one/v1", "m") == Dialect(seed=False)
        assert known_dialect(cache, "http://two/v1", "m") is None
        assert known_dialect(cache, "http://three/v1", "m") is None
