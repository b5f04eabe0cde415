"""The blocks of every page, run in the page's order in one folder, against an endpoint that answers anything."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.pages import ROOT, Reader, begins_with, blocks, endpoint

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")])
RUN = [page for page in PAGES if any(block.reason is None for block in blocks(page.read_text()))]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with endpoint() as address:
        yield address


@pytest.fixture(scope="module")
def held(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages begin with."""
    folder = tmp_path_factory.mktemp("held")
    reader = Reader(folder, url)
    with pytest.MonkeyPatch.context() as patch:
        _settings(patch, folder, url)
        reader.shell(
            "python docs/tutorial_images.py top-images\n"
            "rm -r top-images/598 top-images/684 top-images/696 top-images/717\n"
            "autointerp import folder top-images DUMP --silent-from-others 40 --population 5000\n"
            "cp -r DUMP my-dump\n"
            "autointerp explain DUMP --run runs/first --model gpt-5-mini\n"
            "autointerp score runs/first\n"
        )
    return folder


def _settings(patch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
    patch.setenv("AUTOINTERP_BASE_URL", url)
    patch.setenv("AUTOINTERP_MODEL", "stub")
    patch.setenv("AUTOINTERP_CACHE", str(folder / "cache"))
    for key in ("OPENAI_API_KEY", "GEMINI_API_KEY", "NEURONPEDIA_API_KEY"):
        patch.setenv(key, "key")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_blocks_of_a_page_run_in_its_order(
    page: Path, held: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _settings(monkeypatch, tmp_path, url)
    folder = tmp_path / "reader"
    reader = Reader(folder, url)
    text = page.read_text()
    for name in begins_with(text):
        shutil.copytree(held / name, folder / name)
    for block in blocks(text):
        if block.reason is None:
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_says_why_a_block_is_not_run_stands_before_a_block(page: Path):
    text = page.read_text()

    marks = text.count("<!-- not run: ")
    assert marks == len(re.findall(r"<!-- not run: .+? -->\n+```", text, re.DOTALL))
