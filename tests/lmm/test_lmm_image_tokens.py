import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.images.picture import Picture, Tile
from autointerp.lmm.image_tokens import (
    RULES,
    Detail,
    TokenEstimate,
    estimate_request,
    estimate_text_tokens,
    families,
    image_tokens,
)
from autointerp.lmm.request import ImagePart, Message, Request, TextPart

SIDES = (224, 512, 768, 1024)

SQUARES: dict[str, tuple[int, int, int, int]] = {
    "gpt-4o": (255, 255, 765, 765),
    "gpt-4.1": (255, 255, 765, 765),
    "gpt-5": (210, 210, 630, 630),
    "gpt-5.1": (210, 210, 630, 630),
    "gpt-4o-mini": (8500, 8500, 25501, 25501),
    "gpt-5.2": (59, 308, 692, 1229),
    "gpt-5.6": (59, 308, 692, 1229),
    "gpt-6-luna": (59, 308, 692, 1229),
    "gpt-5-mini": (80, 415, 934, 1659),
    "gpt-5-nano": (121, 630, 1417, 2520),
    "gpt-4.1-mini": (80, 415, 934, 1659),
    "gpt-4.1-nano": (121, 630, 1417, 2520),
    "o4-mini": (85, 441, 991, 1762),
    "claude-haiku-5.5": (64, 361, 784, 1369),
    "gemini-3.6-flash": (1089, 1089, 1089, 1089),
    "gemini-2.5-flash-lite": (258, 1032, 1032, 1032),
    "qwen2.5-vl-7b-instruct": (64, 324, 729, 1369),
    "qwen3-vl-30b-a3b": (64, 256, 576, 1024),
    "qwen3.5-35b-a3b": (64, 256, 576, 1024),
    "internvl3-8b": (256, 256, 1280, 2560),
    "internvl3_5-8b": (256, 256, 1280, 2560),
    "gemma-3-27b-it": (256, 256, 256, 256),
    "gemma-4-31b-it": (256, 256, 256, 256),
    "smolvlm2-2.2b-instruct": (1088, 1088, 1088, 1088),
    "llama-4-scout-17b-16e-instruct": (144, 720, 1440, 2448),
    "llama-3.2-11b-vision-instruct": (1601, 1601, 6404, 6404),
    "mistral-small-3.1-24b-instruct": (72, 380, 812, 1406),
    "local": (0, 0, 0, 0),
}


@pytest.mark.parametrize("model", SQUARES)
def test_square_images_count_as_tabulated(model: str):
    counted = tuple(image_tokens(model, side, side).tokens for side in SIDES)

    assert counted == SQUARES[model]


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        # 2048 × 4096 is halved to 1024 × 2048, then shrunk to 768 × 1536: 2 × 3 tiles.
        ("gpt-4o", 2048, 4096, 85 + 6 * 170),
        # 800 × 600 stays: 2 × 2 tiles.
        ("gpt-5", 800, 600, 70 + 4 * 140),
        # 10 × 7 patches of 32; 70 · 1.2 = 84 with nothing to round.
        ("gpt-6-sol", 320, 200, 84),
        # 12 × 8 patches of 28.
        ("claude-sonnet-5.5", 336, 200, 96),
        # A grid of 47 × 23 is the largest of shape 2:1 within 1120.
        ("gemini-3.6-flash", 1000, 500, 47 * 23),
        # Tiles of 360: 3 × 2.
        ("gemini-2.5-flash", 960, 540, 6 * 258),
        # 300 / 28 = 10.7 and 200 / 28 = 7.1 are rounded to 11 × 7.
        ("qwen2.5-vl-3b", 300, 200, 77),
        # 640 × 480 is 20 × 15 patches of 32.
        ("qwen3-vl-8b", 640, 480, 300),
        # The grid nearest to 3:2 that 960 × 640 px fill by more than half: 3 × 2, and the thumbnail.
        ("internvl3-8b", 960, 640, 7 * 256),
        # 3 × 2 tiles of 336 enlarge 800 × 600 least: by 1.12; and the whole.
        ("llama-4-scout", 800, 600, 7 * 144),
        # 2 × 1 tiles of 560 hold 1000 × 400.
        ("llama-3.2-11b", 1000, 400, 2 * 1601),
        # 4 rows of 12, and a break after each.
        ("mistral-small-2603", 336, 112, 52),
    ],
)
def test_oblong_images_count_as_worked_by_hand(model: str, width: int, height: int, tokens: int):
    assert image_tokens(model, width, height).tokens == tokens


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "low", 85),
        ("gpt-5.1", "low", 70),
        ("gpt-4o-mini", "low", 2833),
        ("gemini-3-pro", "low", 256),
        ("gemini-3-pro", "medium", 23 * 23),
        ("smolvlm2", "low", 64),
        ("claude-haiku-5.5", "low", 784),
    ],
)
def test_detail_counts_where_a_family_has_it(model: str, detail: Detail, tokens: int):
    assert image_tokens(model, 768, 768, detail).tokens == tokens


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("Qwen/Qwen3-VL-30B-A3B-Instruct", "qwen3-vl-30b-a3b"),
        ("models/gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("us.anthropic.claude-haiku-5-5-v1:0", "claude-haiku-5.5"),
        ("OpenGVLab/InternVL3_5-8B", "internvl3-8b"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout"),
        ("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "smolvlm2"),
        ("chatgpt-4o-latest", "gpt-4o"),
        ("qwen2.5vl:7b", "qwen2.5-vl-7b"),
        ("gemma3:27b", "gemma-3-27b"),
        ("gpt-5.4-mini", "gpt-5-mini"),
        ("gpt-5-chat-latest", "gpt-5"),
    ],
)
def test_prefixes_and_dates_do_not_change_the_family(long: str, short: str):
    assert image_tokens(long, 768, 768) == image_tokens(short, 768, 768)


def test_figures_in_dispute_unknown_models_and_very_large_images_are_not_called_exact():
    assert image_tokens("gpt-6-luna", 1024, 1024).exact
    assert not image_tokens("gpt-6-luna", 1025, 100).exact
    assert not image_tokens("gpt-5-mini", 224, 224).exact
    assert not image_tokens("somebody/own-model", 224, 224).exact


def test_an_unknown_model_is_labelled_and_counts_two_tokens_a_28_pixel_patch_but_1120_at_least():
    small, large = image_tokens("own-model", 224, 224), image_tokens("own-model", 1024, 1024)

    assert (small.tokens, large.tokens) == (1120, 2 * 37 * 37)
    assert small.rule.startswith("unknown model")


@pytest.mark.parametrize("model", sorted(SQUARES.keys() - {"gpt-4o-mini", "llama-3.2-11b-vision-instruct"}))
def test_the_guess_for_unknown_models_is_not_below_any_family_but_the_two_costliest(model: str):
    for side in SIDES:
        assert image_tokens("own-model", side, side).tokens >= image_tokens(model, side, side).tokens


def test_each_row_of_the_table_is_reached_by_a_model_of_the_tests():
    reached = {image_tokens(model, 512, 512).rule.split(":")[0] for model in SQUARES}

    assert reached == {family.name for family in families()}
    assert {family.rule for family in families()} == RULES.keys()


@given(st.sampled_from(sorted(SQUARES)), st.integers(1, 5000), st.integers(1, 5000))
def test_any_size_counts_at_least_one_token(model: str, width: int, height: int):
    assert image_tokens(model, width, height).tokens >= (model != "local")


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_flat_budgets_are_never_passed(width: int, height: int):
    assert image_tokens("gemini-3-pro", width, height).tokens <= 1120


@given(st.integers(32, 6000), st.integers(32, 6000))
def test_qwen3_stays_within_its_processor_s_bounds(width: int, height: int):
    # Scaling a thin image rounds both sides up, so a few patches more than the least are possible, never fewer.
    assert 64 <= image_tokens("qwen3-vl-8b", width, height).tokens <= 16384


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("a" * 7, 2), ("a" * 8, 3), ("鳥", 1), ("seven鳥鳥", 4)]
)
def test_text_counts_two_tokens_for_seven_ascii_characters_and_one_for_any_other(text: str, tokens: int):
    assert estimate_text_tokens(text) == tokens


def test_a_request_counts_its_texts_pictures_schema_and_marks():
    picture = Picture((Tile(0, "00", (512, 512), "full", None),), side=512, quality=85)
    turns = (
        Message("system", (TextPart("a" * 70),)),
        Message("user", (TextPart("b" * 35), ImagePart(picture, "active", (1,)), ImagePart(picture, "active", (2,)))),
    )
    schema = json.dumps({"type": "object"})
    request = Request("gpt-4o", "explain", "", turns, schema, temperature=0.0, max_tokens=300, seed=0)

    estimate = estimate_request(request, lambda p: p.tiles[0].size, output_tokens=120)

    # Texts 20 + 10; two pictures of 255; the schema's 18 characters 6; marks: 2 messages, 4 parts, 1 schema, 4 each.
    assert estimate == TokenEstimate(20 + 10 + 2 * 255 + 6 + 7 * 4, 120)


def test_the_expected_reply_is_not_longer_than_the_request_allows():
    request = Request("gpt-4o", "explain", "", (), "", temperature=0.0, max_tokens=50, seed=0)

    assert estimate_request(request, lambda p: (1, 1), output_tokens=120).output_tokens == 50


def test_a_request_at_low_detail_counts_the_family_s_low_figure_where_it_has_one():
    picture = Picture((Tile(0, "00", (512, 512), "full", None),), side=512, quality=85)
    turns = (Message("user", (ImagePart(picture, "active", (1,)), ImagePart(picture, "active", (2,)))),)

    def counted(model: str, detail: Literal["auto", "low", "high"]) -> int:
        request = Request(model, "explain", "", turns, "", temperature=0.0, max_tokens=300, seed=0, detail=detail)
        return estimate_request(request, lambda p: p.tiles[0].size, output_tokens=0).input_tokens

    # A tile of 512 px counts 255 on gpt-4o and 210 on gpt-5, or 85 and 70; Claude looks at it the same either way.
    assert counted("gpt-4o", "auto") - counted("gpt-4o", "low") == 2 * (255 - 85)
    assert counted("gpt-5", "high") - counted("gpt-5", "low") == 2 * (210 - 70)
    assert counted("claude-haiku-5.5", "low") == counted("claude-haiku-5.5", "auto")
