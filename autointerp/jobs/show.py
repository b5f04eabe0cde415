"""`autointerp.show`: one feature in a notebook, with its sheet, its explanation and its scores."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from autointerp.dump.reader import open_dump
from autointerp.notebook.html import escaped, framed
from autointerp.notebook.records import interval, said_of
from autointerp.remote.path import Location
from autointerp.reports.contact_sheet import contact_sheet
from autointerp.runs.folder import open_run
from autointerp.runs.judgings import judged_by
from autointerp.schema import Explanation, Feature, PartScore, Scored, Unscored
from autointerp.session.gateway import open_renderer


@dataclass(frozen=True)
class FeatureView:
    """Is a feature as a notebook shows it."""

    feature: Feature
    explanation: Explanation | None
    scores: tuple[Scored | Unscored, ...]
    sheet: bytes
    """The contact sheet, PNG."""

    def _repr_html_(self) -> str:
        lines = [f"<b>Feature {self.feature.id}</b>"]
        if self.explanation is not None:
            lines.append(escaped(said_of(self.explanation)))
        for s in self.scores:
            value = interval(s) if isinstance(s, Scored) else s.reason
            value += " undetermined" if isinstance(s, Scored) and s.undetermined else ""
            lines.append(escaped(f"{s.scorer}: {value}"))
            lines += [_part(part) for part in s.parts] if isinstance(s, Scored) else []
        data = base64.b64encode(self.sheet).decode()
        return framed(
            "<br>".join(lines),
            f'<br><img src="data:image/png;base64,{data}" alt="contact sheet" style="max-width:100%">',
        )


def _part(part: PartScore) -> str:
    figures = f"{interval(part)}, precision {part.precision:.2f}"
    return f"&emsp;{escaped(part.text)}: {figures}, recall {part.recall:.2f}"


def show(
    dump: Location,
    feature: int,
    run: str | Path | None = None,
    *,
    judge: str | None = None,
    allow_outside: bool = False,
) -> FeatureView:
    """Returns one feature of a dump, with what a run says of it if one is given.

    Args:
        dump: the dump, a folder or a URL.
        feature: its number.
        run: a folder.
        judge: whose scores are shown, where several judges scored the run; the first one's by default.
        allow_outside: trust the image paths of the dump even where they leave its folder.

    Raises:
        AutointerpError: the dump or the run cannot be read, or there is no such feature or judge.
    """
    with open_dump(dump, allow_outside=allow_outside) as opened:
        evidence = opened.feature(feature)
        renderer = open_renderer(opened)
        try:
            encoded = io.BytesIO()
            contact_sheet(opened, evidence, renderer).save(encoded, "PNG")
        finally:
            renderer.close()
    if run is None:
        return FeatureView(evidence, None, (), encoded.getvalue())
    opened_run = judged_by(open_run(run), judge)
    index = opened_run.index()
    explanation = index[feature] if feature in index.features else None
    scores = {s.scorer: s for s in opened_run.scores() if s.feature == feature}
    return FeatureView(evidence, explanation, tuple(scores.values()), encoded.getvalue())
