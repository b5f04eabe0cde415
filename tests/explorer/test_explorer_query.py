"""What an address asks of the list, and how words that a person typed reach the full-text search."""

import sqlite3
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.explorer.query import Query, expression


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("red wheel", '"red" AND "wheel"*'),
        ('"red wheel" sand', '"red wheel" AND "sand"*'),
        ("wheel -red", '"wheel" NOT "red"'),
        ("NEAR( OR text:red ^a", '"NEAR(" AND "OR" AND "text:red" AND "^a"*'),
        ("-red", ""),
        ('"* ?', ""),
    ],
)
def test_words_are_all_wanted_and_the_last_may_go_on(typed: str, asked: str):
    assert expression(typed) == asked


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_nothing_that_is_typed_is_an_error_of_the_search(typed: str):
    file = sqlite3.connect(":memory:")
    file.execute("CREATE VIRTUAL TABLE said USING fts5(text)")

    words = Query.of({"q": typed}).words

    assert not words or file.execute("SELECT count(*) FROM said WHERE said MATCH ?", (words,)).fetchone() == (0,)
    file.close()


def test_an_address_holds_what_differs_from_all_features():
    query = Query.of({"q": "a & b", "score_from": "0.50", "state": "one", "sort": "score", "page": "7"})

    assert query.address() == "/?q=a+%26+b&state=one&score_from=0.5&sort=score&page=7"
    assert query.address(q="") == "/?state=one&score_from=0.5&sort=score"
    assert Query().address("/compare") == "/compare"


@pytest.mark.parametrize(
    "said",
    [
        {"page": "nan", "width": "inf", "score_from": "1e999"},
        {"page": "-3", "state": "<script>", "sort": "feature; DROP TABLE", "down": "2"},
        {"width": "", "page": "0x10", "density_to": "a"},
    ],
)
def test_what_is_no_sense_in_an_address_is_left_out(said: dict[str, str]):
    assert Query.of(said) == Query()


@pytest.mark.parametrize("bound", [0.7, 0.123456789, 41910.600251324424, 1e-9, 3.0])
def test_an_address_keeps_a_number_to_the_last_digit(bound: float):
    address = Query(density_from=bound).address()

    assert Query.of(dict(parse_qsl(address.partition("?")[2]))).density_from == bound
    assert Query(density_from=3.0).address() == "/?density_from=3"
