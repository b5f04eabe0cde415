import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.address import checked_url, forms, is_loopback, is_openai, is_private, listed, same_place


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://gpu1:8000/v1/", "http://gpu1:8000/v1"),
        (" http://gpu1:8000/v1\n", "http://gpu1:8000/v1"),
        ("https://api.deepseek.com", "https://api.deepseek.com"),
        ("http://gpu1:8000/v1/chat/completions", "http://gpu1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://[fe80::1%25eth0]/v1", "http://[fe80::1%25eth0]/v1"),
        (None, None),
    ],
)
def test_an_address_is_kept_without_what_surrounds_it(given: str | None, kept: str | None):
    assert checked_url(given) == kept


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host:abc/v1", "--base-url http://host:abc/v1: Port could not be cast"),
        ("http://host:99999/v1", "Port out of range"),
        ("http://host:0/v1", "there is no port 0"),
        (f"http://{'a' * 300}/v1", "a part of the host name is empty or too long"),
        (f"http://{'a.' * 150}com/v1", "more than 253 characters"),
        ("http://a..b/v1", "a part of the host name is empty or too long"),
        ("http://:8000/v1", "not an http"),
        ("http://[::1]example.org/v1", "not an IPv6 address in brackets"),
        ("http://[v1.x]/v1", "not an IPv6 address in brackets"),
        ("http://ho st/v1", "has white space or a control character in it"),
        ("http://host/\x1b[2J", "has white space or a control character in it"),
        ("me:pw@host/v1", "holds a user name or password"),
        ("host/v1?key=pw", r"has a \? or # in it"),
    ],
)
def test_what_is_no_address_is_refused_in_a_printable_line_without_its_password(url: str, problem: str):
    with pytest.raises(SettingsError, match=problem) as caught:
        checked_url(url)

    assert "pw" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_v1_is_tried_beneath_what_does_not_end_in_it():
    assert forms("http://gpu1:8000/v1") == ("http://gpu1:8000/v1",)
    assert forms("http://gpu1:8000") == ("http://gpu1:8000", "http://gpu1:8000/v1")
    assert same_place("http://gpu1:8000", "http://gpu1:8000/v1")
    assert not same_place("http://gpu1:8000/v1", "http://gpu1:8001/v1")
    assert not same_place("https://gateway/a/v1", "https://gateway/b/v1")


def test_openai_is_known_by_its_host_alone():
    assert is_openai(None)
    assert is_openai("https://api.openai.com/v1")
    assert not is_openai("https://api.openai.com.evil.example/v1")
    assert not is_openai("http://gpu1/api.openai.com/v1")


@pytest.mark.parametrize(
    ("url", "loopback", "private"),
    [
        ("http://localhost:8000/v1", True, True),
        ("http://127.0.0.1:8000/v1", True, True),
        ("http://[::1]:8000/v1", True, True),
        ("http://10.1.2.3/v1", False, True),
        ("http://gpu1:8000/v1", False, True),
        ("https://example.org/v1", False, False),
        ("https://localhost.example.org/v1", False, False),
    ],
)
def test_where_an_address_leads(url: str, loopback: bool, private: bool):
    assert (is_loopback(url), is_private(url)) == (loopback, private)


def test_many_addresses_are_told_by_the_first_three():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
