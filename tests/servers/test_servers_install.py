"""Where aimock is installed, and what happens where it cannot be."""

import sys
from pathlib import Path

import pytest
from servers import install

COUNTS_AND_INSTALLS = """#!/bin/sh
echo npm >> "$CALLS"
for last; do :; done
mkdir -p "$last/node_modules/@copilotkit/aimock/dist"
touch "$last/node_modules/@copilotkit/aimock/dist/cli.js"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the path, without programs; the environment and the home are empty."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "environment").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    return folder


def program(file: Path, text: str) -> None:
    """A program of this text."""
    file.write_text(text)
    file.chmod(0o755)


def test_it_is_installed_once_and_into_the_environment_alone(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for twice, npm runs once; the script lies in the environment, and the home stays empty."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    program(programs / "node", "#!/bin/sh\n")
    program(programs / "npm", COUNTS_AND_INSTALLS)

    first, second = install.aimock(), install.aimock()

    assert first == second
    assert first.is_relative_to(tmp_path / "environment")
    assert first.is_file()
    assert calls.read_text().splitlines() == ["npm"]
    assert not (tmp_path / "home").exists()


def test_an_installation_that_fails_is_an_error_with_npms_words(programs: Path) -> None:
    """It is no reason to skip a test, and the next try does not take the folder for installed."""
    program(programs / "node", "#!/bin/sh\n")
    program(programs / "npm", "#!/bin/sh\necho the registry is down >&2\nexit 3\n")

    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"npm ci .* ended with 3:\nthe registry is down"):
            install.aimock()


def test_without_node_the_reason_to_skip_names_what_to_install(programs: Path) -> None:
    with pytest.raises(install.NoNodeError, match="needs node and npm"):
        install.aimock()
