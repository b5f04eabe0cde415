"""What a package index and citing programs are told."""

import re
import tomllib
from pathlib import Path

from autointerp.version import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_no_link_or_picture_of_the_readme_on_an_index_is_relative():
    text = (ROOT / "README.md").read_text()
    for one in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"].replace("$HFPR_VERSION", __version__), text)

    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []
    assert all("raw.githubusercontent.com" in picture for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text))
    assert "<!--" not in text


def test_the_citation_names_this_version_and_the_authors_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text()

    assert f"\nversion: {__version__}\n" in citation
    assert [f"  - name: {author['name']}" in citation for author in PROJECT["project"]["authors"]] == [True]
    assert f"version = {{{__version__}}}" in (ROOT / "docs" / "citing.md").read_text()
