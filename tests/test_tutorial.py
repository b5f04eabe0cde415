"""The commands of the tutorial, run one after the other as a reader does."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image
from standin.commands import run
from standin.pages import blocks

from benchmarks import stub

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "tutorial.md").read_text()
LARGEST = 150_000
"""Bytes of a picture on the page."""


def commands() -> list[list[str]]:
    """Those of the page that are ours, in its order."""
    lines = [line for block in blocks(TEXT) for line in block.text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(("autointerp ", "python docs/"))]


@pytest.mark.slow
def test_the_commands_of_the_tutorial_lead_from_a_folder_of_images_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with stub.running(0.0) as url:
        monkeypatch.setenv("AUTOINTERP_BASE_URL", url)
        monkeypatch.setenv("AUTOINTERP_MODEL", "stub")
        results = []
        for program, *args in commands():
            if program == "python":
                monkeypatch.setattr(sys, "argv", args)
                runpy.run_path(str(DOCS.parent / args[0]), run_name="__main__")
            else:
                results.append(run(*args))

    assert [r.code for r in results] == [0] * 7, [r.err for r in results]
    assert "8 of 8 features" in results[4].out
    assert results[6].out == "report: runs/first/report.html\n"
    report = (tmp_path / "runs" / "first" / "report.html").read_text()
    assert report.count('class="card"') == 8
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000


def test_what_the_import_says_stands_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tutorial_images.py", "top-images"])
    runpy.run_path(str(DOCS / "tutorial_images.py"), run_name="__main__")

    said = run("import", "folder", "top-images", "my-dump", "--silent-from-others", "40").out

    assert f"```text\n{said}```" in TEXT


def test_pictures_of_the_tutorial_are_small():
    shown = re.findall(r"!\[[^]]+\]\((images/\S+)\)", TEXT)

    assert len(shown) == 3
    assert {name: size for name in shown if (size := (DOCS / name).stat().st_size) > LARGEST} == {}
