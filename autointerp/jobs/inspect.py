"""`autointerp inspect`: what a dump holds, what is wrong with it, and one feature's contact sheet."""

from pathlib import Path
from typing import NamedTuple

from autointerp.commands.inspect import Inspect
from autointerp.dump.reader import open_dump
from autointerp.dump.summary import DumpSummary, summarise
from autointerp.dump.validate import Problem, validate
from autointerp.job import Progress
from autointerp.remote.path import local_path
from autointerp.reports.contact_sheet import contact_sheet, save_sheet
from autointerp.session.gateway import open_renderer


class Inspected(NamedTuple):
    """What was found in a dump."""

    summary: DumpSummary | None
    """None where a contact sheet was drawn instead."""
    problems: tuple[Problem, ...]
    """What is wrong or odd; empty without `check`."""


def run(settings: Inspect, *, progress: Progress | None = None) -> Inspected:
    """Counts, checks or draws a dump."""
    if settings.feature is not None:
        draw_feature(settings.dump, settings.feature, settings.out, allow_outside=settings.allow_outside)
        return Inspected(None, ())
    with open_dump(settings.dump, allow_outside=settings.allow_outside) as opened:
        return Inspected(summarise(opened), tuple(validate(opened, content=True)) if settings.check else ())


def draw_feature(dump: str | Path, feature: int, out: str | Path, *, allow_outside: bool = False) -> None:
    """Draws one feature's contact sheet.

    Args:
        dump: folder of the dump, or its URL.
        feature: id.
        out: the file to write, .png or .jpg.
        allow_outside: trusts the image paths of the dump even where they leave its folder.

    Raises:
        DumpError: the dump cannot be read, or has no such feature.
        SettingsError: `out` is no image file name, or cannot be written.
    """
    with open_dump(dump, allow_outside=allow_outside) as opened:
        evidence = opened.feature(feature)
        renderer = open_renderer(opened)
        try:
            save_sheet(contact_sheet(opened, evidence, renderer), local_path(out))
        finally:
            renderer.close()
