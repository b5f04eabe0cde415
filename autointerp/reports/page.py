"""Writes a run as one self-contained HTML file that opens from disk and asks the network for nothing."""

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from autointerp.errors import RunError
from autointerp.reports.aggregates import Tally, tally
from autointerp.reports.cards import Evidence, cards, gather
from autointerp.reports.data import ReportData, ReportInfo
from autointerp.reports.hierarchy import Families, relative
from autointerp.reports.labels import count, number, plural, scorer_words, share
from autointerp.reports.parents import kinship_of
from autointerp.reports.pictures import PictureBook, picture_lines
from autointerp.reports.scorelines import ScorerPlan, score_words
from autointerp.reports.summary import Choice, choose, scorer_plan, summarise
from autointerp.reports.tree import Plan, Tree, plan_tree, tree_of

TEMPLATES = Path(__file__).parent / "templates"


def write_report(data: ReportData, out: Path, *, limit: int) -> ReportInfo:
    """Writes the report in one step: a reader sees the old file or the whole new one.

    Args:
        data: the run and its dump.
        out: the file to write; replaced if there.
        limit: most features that get a row and a card, at least 1; the summary always counts all of them.

    Raises:
        DumpError: the dump lacks a feature or an image that the run names.
        RunError: the file cannot be written.
    """
    assert limit >= 1
    counted = tally(data)
    plan = scorer_plan(counted)
    choice = choose(counted, plan.headline, limit)
    book = PictureBook(data)
    try:
        size = _replace(out, _pages(data, counted, plan, choice, book))
    except OSError as e:
        raise RunError(f"{out}: the report cannot be written ({e}); name another file with --out") from e
    return ReportInfo(
        path=out,
        size=size,
        features=len(counted.features),
        cards=len(choice.features),
        pictures=len(book.made),
        broken=book.broken,
    )


def _pages(data: ReportData, counted: Tally, plan: ScorerPlan, choice: Choice, book: PictureBook) -> Iterator[str]:
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    summary = summarise(data, counted, choice, plan)
    kinship = kinship_of(data, counted.features, choice.features)
    families = Families(kinship, choice.features, data.widths)
    shape = plan_tree(kinship, counted.features, data.widths)
    found = gather(data, set(choice.features), families.beside() | shape.features(), plan.headline)
    shown = list(cards(data, choice.features, plan, book, found, families))
    return (
        _environment()
        .get_template("report.html.j2")
        .generate(
            data=data,
            counted=counted,
            summary=summary,
            tree=_tree(data, shape, found, set(choice.features), plan.headline),
            cards=shown,
            columns=[scorer_words(s) for s in plan.columns],
            headline=plan.columns.index(plan.headline) if plan.headline is not None else None,
            against=any(figure.against for figure in summary.figures),
            sampled=any(card.meanings is not None for card in shown),
            guessing=any(axis.chance is not None for axis in plan.axes.values()),
            widths=sorted({card.width for card in shown}),
            made=book.made.keys(),
            pictures=map(Markup, picture_lines(book)),
            broken=book.broken,
            # Both files are our own, so they go in as they are; the policy lets no other script run.
            style=Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in _styles(counted))),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _styles(counted: Tally) -> list[str]:
    return ["report.css", "sampled.css"] if len(counted.sampled.kept.known) else ["report.css"]


def _tree(
    data: ReportData, shape: Plan, found: Mapping[int, Evidence], linked: set[int], headline: str | None
) -> Tree | None:
    features = shape.features()
    relatives = {
        f: relative(f, data.widths, found[f].explanation if f in found else None, linked=f in linked, asked=f in found)
        for f in features
    }
    scored = {f: found[f].scores.get(headline) for f in features if f in found and headline is not None}
    words = {f: score_words(score) for f, score in scored.items() if score is not None}
    return tree_of(shape, relatives, words, scorer_words(headline).title if headline is not None else "")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "number": number, "share": share}
    environment.globals |= {"plural": plural}
    return environment


def _replace(out: Path, parts: Iterator[str]) -> int:
    """Writes beside `out`, then takes its place; returns the size in bytes.

    The file has no name until it is whole, so that nothing is left of it where the process is killed.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    with tempfile.TemporaryFile(
        "w+", encoding="utf-8", errors="xmlcharrefreplace", newline="\n", dir=out.parent
    ) as file:
        file.writelines(parts)
        file.flush()
        try:
            _name(file.fileno(), draft)
            draft.chmod(0o644)
            size = draft.stat().st_size
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    return size


def _name(descriptor: int, path: Path) -> None:
    """Gives an open file without a name one; where the file system cannot, copies it."""
    try:
        # Only with a folder's descriptor does Python follow the link, which is what names the file itself.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=0)
    except (OSError, NotImplementedError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as whole, path.open("wb") as copy:
            shutil.copyfileobj(whole, copy)
