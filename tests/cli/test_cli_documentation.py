"""Help and messages name pages that every installation can open."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from standin.commands import all_commands, run

import autointerp
from autointerp.cli.documentation import HINT

PAGE = re.compile(r"\bdocs/[\w-]+\.md\b")


def texts() -> Iterator[str]:
    """Every text in the package's source, docstrings included."""
    for file in Path(autointerp.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_page_that_the_package_names_lies_in_the_folder_that_is_printed():
    folder = Path(run("--docs").out.strip())

    named = {name for text in texts() for name in PAGE.findall(text)}
    assert len(named) > 5
    assert {name for name in named if not (folder / Path(name).name).is_file()} == set()


def test_the_help_that_names_a_page_says_where_pages_are_and_no_other_does():
    for path in all_commands():
        words = " ".join(run(*path, "--help").out.split())

        assert (HINT.replace("`", "") in words) == bool(PAGE.search(words)), path


def test_an_error_that_names_a_page_says_where_pages_are(tmp_path: Path):
    told = run("report", "s3://key:word@bucket/run").err

    assert told.endswith(f"(docs/many-machines.md); {HINT}\n")
    assert HINT not in run("report", tmp_path / "none").err
