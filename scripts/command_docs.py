"""Writes docs/commands.md from the command line's own help; `--check` only says whether it is up to date."""

import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from autointerp.cli.main import program

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
HEAD = "<!-- Written by scripts/command_docs.py (make docs); do not edit. -->\n\n"
OPENING = "With this page you can look up every command and each of its options, as `--help` shows them."


def page() -> str:
    """The page as it should be."""
    command = program()
    with typer.Context(command, info_name="autointerp") as context:
        title, _, rest = get_docs_for_click(obj=command, ctx=context, name="autointerp").strip().partition("\n\n")
        return f"{HEAD}{title}\n\n{OPENING}\n\n{rest}\n"


def main() -> int:
    """Writes or checks the page."""
    if "--check" not in sys.argv:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    print("docs/commands.md is not what the commands say; run `make docs`")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
