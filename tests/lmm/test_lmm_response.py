"""Numbers of tokens that endpoints state, however odd."""

import pytest

from autointerp.lmm.response import count_of, read_completion


@pytest.mark.parametrize(
    ("said", "tokens"),
    [(7, 7), ("7", 7), (None, 0), (-5, 0), (10**400, 2**53), (float("inf"), 0), (float("-inf"), 0), (2**53, 2**53)],
)
def test_a_number_of_tokens_is_within_what_can_be(said: object, tokens: int):
    assert count_of(said) == tokens


def test_no_more_tokens_come_from_a_cache_than_came_at_all():
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 90}}

    completion = read_completion({"choices": [{"message": {"content": "x"}}], "usage": usage}, None)

    assert (completion.input_tokens, completion.cached_tokens) == (10, 10)
