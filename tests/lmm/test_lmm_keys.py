import pytest

from autointerp.batch.lines import without_keys
from autointerp.errors import SettingsError
from autointerp.lmm.route import api_key

OWN = "http://localhost:8000/v1"


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\t"])
def test_white_space_around_a_key_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch, around: str):
    monkeypatch.setenv("OPENAI_API_KEY", f"{around}sk-good{around}")

    assert api_key(OWN) == "sk-good"
    assert without_keys("no such key: sk-good.") == "no such key: [key]."


@pytest.mark.parametrize("key", ["sk-\ngood", "sk good", "sk-gööd", "sk-\x1b"])
def test_a_key_that_no_header_can_hold_is_one_line_without_the_key(monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv("AUTOINTERP_API_KEY", key)

    with pytest.raises(SettingsError, match="AUTOINTERP_API_KEY has white space, a line break") as caught:
        api_key(OWN)

    assert key not in str(caught.value)


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_API_KEY", " ")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-good")

    assert api_key(OWN) == "sk-good"
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with pytest.raises(SettingsError, match="no API key"):
        api_key("https://api.openai.com/v1")
