import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.route import Proxy, headers_for, proxy_for, trusted_certificates

FAR = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the shell do not count."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("text", "url", "login"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        ("http://proxy/", "http://proxy:80", None),
        ("http://me:p%40w@proxy:3128", "http://proxy:3128", ("me", "p@w")),
    ],
)
def test_a_proxy_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, text: str, url: str, login: tuple[str, str] | None
):
    monkeypatch.setenv("HTTPS_PROXY", text)

    assert proxy_for(FAR) == Proxy(url, login, "HTTPS_PROXY")


def test_each_scheme_has_a_proxy_and_all_have_the_last(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://first:1")
    monkeypatch.setenv("ALL_PROXY", "http://last:2")

    assert proxy_for("http://api.example.com/v1") == Proxy("http://first:1", None, "http_proxy")
    assert proxy_for(FAR) == Proxy("http://last:2", None, "ALL_PROXY")


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")

    assert proxy_for(url) is None


@pytest.mark.parametrize("exempt", ["api.example.com", ".example.com", "other,example.com", "*"])
def test_hosts_of_no_proxy_are_asked_without_one(monkeypatch: pytest.MonkeyPatch, exempt: str):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)

    assert proxy_for(FAR) is None


@pytest.mark.parametrize("text", ["socks5://me:pw@proxy:1080", "socks://proxy:1080/", "http://me:pw@proxy:abc"])
def test_a_proxy_that_cannot_be_used_is_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("ALL_PROXY", text)

    with pytest.raises(SettingsError, match=r"ALL_PROXY: .*; name one as http://HOST:PORT, or put api.example.com"):
        proxy_for(FAR)
    with pytest.raises(SettingsError) as caught:
        proxy_for(FAR)

    assert "pw" not in str(caught.value)


def test_certificates_that_are_not_there_are_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    with pytest.raises(SettingsError, match=r"SSL_CERT_FILE /nowhere/ca.pem: no certificates can be read there \(No"):
        trusted_certificates()


def test_the_organisation_is_told_to_openai_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")

    assert headers_for("https://api.openai.com/v1", "k")["OpenAI-Organization"] == "org-1"
    assert "OpenAI-Organization" not in headers_for(FAR, "k")
