"""Sentences of the embedded model, and how it reads those of others."""

import pytest

from autointerp.lmm.local.visual import PROPERTIES
from autointerp.lmm.local.wording import parse, sentence, sentence_of_looks, sentence_of_two


def names(explanation: str) -> set[str]:
    return {PROPERTIES[i].phrase for i in parse(explanation).properties}


def test_a_sentence_names_the_kind_then_examples_then_the_looks():
    text = sentence("birds", "in white", ["ducks", "geese"])

    assert text == "Pictures of birds, such as ducks or geese, often in white"


@pytest.mark.parametrize(
    "text", [sentence("hearts", None, ()), sentence_of_looks("red things"), sentence_of_two("hearts", "keys")]
)
def test_every_sentence_has_6_to_20_words(text: str):
    assert 6 <= len(text.split()) <= 20


def test_an_own_sentence_is_read_back_to_its_phrase():
    parsed = parse(sentence("hearts", None, ()))

    assert (parsed.meaning, parsed.head, parsed.properties) == ("hearts", "hearts", ())


def test_the_first_phrase_of_a_long_text_is_its_head():
    parsed = parse("The region shows wooden ships, such as schooners, and it is often in blue")

    assert parsed.head == "wooden ships"
    assert names("The region shows wooden ships, often in blue") == {"blue things"}


def test_a_text_about_looks_alone_has_no_meaning_in_things():
    parsed = parse(sentence_of_looks("black line drawings"))

    assert parsed.meaning is None
    assert "black line drawings" in names(sentence_of_looks("black line drawings"))
