"""`autointerp prompts copy`: the shipped templates in a folder of one's own."""

from pathlib import Path

import pytest
from standin.commands import run, says

import autointerp
from autointerp.errors import SettingsError
from autointerp.prompts import load_prompt, shipped_folder


def test_the_copies_are_the_shipped_templates_and_can_be_used(tmp_path: Path):
    copied = autointerp.prompts_copy(tmp_path / "mine")

    assert "domains/physical-plausibility.jinja" in copied.templates
    assert {p.name for p in shipped_folder().glob("*.jinja")} < set(copied.templates)
    assert load_prompt("judge", tmp_path / "mine").digest == load_prompt("judge", None).digest


def test_a_template_that_was_changed_is_never_overwritten_and_nothing_is_copied_beside_it(tmp_path: Path):
    (tmp_path / "judge.jinja").write_text("mine")

    with pytest.raises(SettingsError, match=r"judge\.jinja: is there already"):
        autointerp.prompts_copy(tmp_path)

    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("judge.jinja", "mine")]


def test_the_command_says_what_it_copied_and_how_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = run("prompts", "copy", "mine")

    assert result.code == 0
    assert result.out.endswith("next: change them, and autointerp explain DUMP --run RUN --prompts mine\n")
    (tmp_path / "file").touch()
    says(run("prompts", "copy", "file"), "file: is no folder; name another one")
