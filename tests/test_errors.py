"""What other programs say, as a part of our lines."""

from autointerp.errors import excerpt, plain_cell


def test_what_is_too_long_ends_with_a_sentence_or_else_with_a_word():
    assert excerpt("No network. See\nhttps://x.org", 60) == "No network. See https://x.org"
    assert excerpt("No network. See https://x.org", 20) == "No network"
    assert excerpt("one two three four", 12) == "one two …"


def test_what_a_spreadsheet_would_compute_stays_text_in_a_table():
    assert [plain_cell(text) for text in ("=1+1", "\r=1+1", "-2", "a=b")] == ["'=1+1", "'\r=1+1", "'-2", "a=b"]
