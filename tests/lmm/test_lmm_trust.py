import os
from pathlib import Path

import pytest

from autointerp.errors import SettingsError
from autointerp.lmm.trust import admit, from_environment, remember

SHARED = "http://gpu1:8000/v1"


def refused(url: str = SHARED, *, bare: bool = False) -> str:
    """The error about an address that a run folder names; empty where it is admitted."""
    try:
        admit([url], named_by="run/run.json", bare=bare)
    except SettingsError as e:
        return str(e)
    return ""


def test_an_address_that_nobody_gave_here_needs_a_yes_and_the_error_says_which(monkeypatch: pytest.MonkeyPatch):
    assert refused() == (
        "run/run.json names the server http://gpu1:8000/v1, which was never given on this machine; the pictures would "
        "go there: if you trust it, give --trust-address http://gpu1:8000/v1 once"
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "the pictures and your API key would go there" in refused()


def test_an_address_that_a_shell_would_read_as_commands_is_quoted_where_it_is_to_be_typed():
    assert "give --trust-address 'http://x;id/v1' once" in refused("http://x;id/v1")


def test_an_address_that_was_given_once_is_remembered():
    remember([SHARED])
    remember([SHARED])

    assert refused() == ""
    assert refused("http://gpu1:8000") == ""
    assert "never given" in refused("http://gpu1:8001/v1")
    assert "never given" in refused("http://gpu1:8000/elsewhere/v1")
    note = Path(os.environ["XDG_CONFIG_HOME"], "autointerp", "addresses")
    assert note.read_text() == f"{SHARED}\n"


def test_a_yes_is_remembered():
    admit([SHARED], named_by="run/run.json", confirmed=[SHARED])

    assert refused() == ""


@pytest.mark.parametrize("name", ["AUTOINTERP_BASE_URL", "AUTOINTERP_JUDGE_BASE_URL", "OPENAI_BASE_URL"])
def test_an_address_of_the_environment_was_given_here(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, f"http://other/v1, {SHARED}")

    assert refused() == ""
    assert from_environment((name,)) == ("http://other/v1", SHARED)


def test_openai_needs_no_yes():
    admit([None, "https://api.openai.com/v1"], named_by="run/run.json")


def test_this_machine_needs_no_yes_where_it_may_be_asked_without_a_key(monkeypatch: pytest.MonkeyPatch):
    here = "http://localhost:8000/v1"

    assert refused(here, bare=True) == ""
    assert "never given" in refused(here)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "your API key" in refused(here, bare=True)


def test_without_a_folder_for_settings_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))

    remember([SHARED])

    assert "never given" in refused()
    admit([SHARED], named_by="run/run.json", confirmed=[SHARED])


def test_a_relative_folder_for_settings_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    monkeypatch.setenv("HOME", str(tmp_path))

    remember([SHARED])

    assert (tmp_path / ".config" / "autointerp" / "addresses").read_text() == f"{SHARED}\n"


def test_an_address_of_the_environment_that_cannot_be_used_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_BASE_URL", "localhost:8000")

    with pytest.raises(SettingsError, match="AUTOINTERP_BASE_URL localhost:8000: not an http"):
        from_environment(("AUTOINTERP_BASE_URL",))
