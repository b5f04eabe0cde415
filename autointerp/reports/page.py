"""Writes a run as one self-contained HTML file that opens from disk and asks the network for nothing."""

import base64
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jinja2
from markupsafe import Markup

from autointerp.errors import RunError
from autointerp.processes import draft_of
from autointerp.reports import controls, labels, score_details
from autointerp.reports.aggregates import Aggregates, aggregate
from autointerp.reports.arithmetic import heights
from autointerp.reports.cards import cards, columns_of
from autointerp.reports.carriers import carriers_of, prefixes_of
from autointerp.reports.data import ReportData, ReportInfo
from autointerp.reports.figures import figures_of
from autointerp.reports.hierarchy import Hierarchy, plan_tree, read_parents, tree_sentence
from autointerp.reports.pictures import PictureBook, side_for
from autointerp.reports.records import Records
from autointerp.reports.summary import ScorerPlan, choose, scorer_plan, states_of
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.unexplainable import why_in_words

TEMPLATES = Path(__file__).parent / "templates"
HELPERS = (
    *(labels.count, labels.dollars, labels.interval, labels.number, labels.p_text, labels.p_value, labels.plural),
    labels.price,
    *(labels.scorer_labels, labels.share, labels.share_interval, labels.signed, labels.usage_text),
    *(score_details.details_of, score_details.interval_text, score_details.value_text, score_details.yes_or_no),
    *(score_details.rank_text, score_details.undetermined),
    *(controls.control_title, controls.difference_interval, controls.tone_of, controls.verdict_of, heights),
)
"""What the templates call, each as a function and as a filter."""


def write_report(data: ReportData, out: Path, *, limit: int, seed: int | None = None) -> ReportInfo:
    """Writes the report in one step: a reader sees the old file or the whole new one.

    Args:
        data: the run and its dump.
        out: the file to write; replaced if there.
        limit: most features that get a row and a card, at least 1; the summary always counts all of them.
        seed: where it is not None, they are a sample by it, stratified by score.

    Raises:
        DumpError: the dump lacks a feature or an image that the run names.
        RunError: a line of the run cannot be read, or the file cannot be written.
    """
    assert limit >= 1
    counted = aggregate(data)
    plan = scorer_plan(counted)
    choice = choose(counted, plan.headline, limit, seed)
    known = counted.features.tolist()
    parents, records = read_parents(data, known, choice.features), Records(data, counted)
    hierarchy = Hierarchy(parents, choice.features, data.info, records)
    tree = plan_tree(parents, known, data.info.widths)
    template = environment().get_template("report.html.j2")
    book = PictureBook(data, side_for(len(choice.features)))
    shown = {card.id: card for card in cards(choice, records, hierarchy, book)}
    rows = [card.cells(plan.scorers) for card in shown.values()]
    parts = template.generate(
        **_summary(data, counted, plan),
        **_files(),
        **{"data": data, "choice": choice, "tree": tree, "hierarchy": hierarchy, "records": records, "cards": shown},
        carriers=carriers_of(counted),
        prefixes=tuple(prefixes_of(counted, plan, parents.closest, data.info)),
        nesting=data.info.hierarchy,
        tree_sentence=tree_sentence(tree, plan.headline),
        table={"columns": columns_of(plan.scorers), "rows": rows},
        made=book.made.keys(),
        pictures=map(Markup, book.lines()),
        broken=book.broken,
        outlined=book.outlined,
    )
    try:
        size = _replace(out, parts)
    except OSError as e:
        raise RunError(f"{out}: the report cannot be written ({e}); name another file with --out") from e
    return ReportInfo(out, size, len(known), len(shown), len(book.made), book.broken)


def _summary(data: ReportData, counted: Aggregates, plan: ScorerPlan) -> dict[str, object]:
    """Returns what the templates say of all features together."""
    never = Counter(data.unexplainable().values())
    attribute = data.info.attribute.name if data.info.attribute else None
    return {
        "counted": counted,
        "plan": plan,
        "states": states_of(counted, data.n_features, never.total()),
        "never": why_in_words(never) if never else "",
        "figures": list(figures_of(counted, plan, attribute)),
        "banner": _banner(counted) if counted.scorers else None,
    }


def _banner(counted: Aggregates) -> controls.Banner:
    asked = counted.score(CONTROLLED)
    return controls.banner_of(counted.separations, all_unscored=len(asked.values) > 0 and not len(asked.known))


def _files() -> dict[str, str]:
    """Returns style and script, which are our own and go in as they are; the page's policy lets no other script run."""
    script = _read("report.js")
    return {
        "style": Markup(_read("report.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def environment() -> jinja2.Environment:
    """Returns the templates, which escape all texts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers = {helper.__name__: helper for helper in HELPERS}
    environment.globals |= helpers
    environment.filters |= helpers
    return environment


def _replace(out: Path, parts: Iterator[str]) -> int:
    """Writes beside `out`, then takes its place; returns the size in bytes.

    The file has no name until it is whole, so that nothing is left of it where the process is killed.
    """
    draft = draft_of(out)
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
