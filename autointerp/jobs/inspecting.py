"""`autointerp inspect`: what a dump holds, what is wrong with it, and one feature's contact sheet."""

from pathlib import Path

from autointerp.dump.reader import open_dump
from autointerp.dump.summary import DumpSummary, summarise
from autointerp.dump.validate import Problem, validate
from autointerp.remote.path import Location
from autointerp.reports.contact_sheet import contact_sheet, save_sheet
from autointerp.session import open_renderer


def inspect(dump: Location, *, check: bool = False, allow_outside: bool = False) -> tuple[DumpSummary, list[Problem]]:
    """Counts what a dump holds; with `check`, reads every row and every image file and lists what is wrong or odd.

    Raises:
        DumpError: the dump cannot be read at all.
    """
    with open_dump(dump, allow_outside=allow_outside) as opened:
        return summarise(opened), validate(opened, content=True) if check else []


def draw_feature(dump: Location, feature: int, out: Path, *, allow_outside: bool = False) -> None:
    """Draws one feature's contact sheet.

    Raises:
        DumpError: the dump cannot be read, or has no such feature.
        SettingsError: `out` is no image file name, or cannot be written.
    """
    with open_dump(dump, allow_outside=allow_outside) as opened:
        evidence = opened.feature(feature)
        renderer = open_renderer(opened)
        try:
            save_sheet(contact_sheet(opened, evidence, renderer), out)
        finally:
            renderer.close()
