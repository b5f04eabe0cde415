"""A dump whose regions, heat maps and texts can be told apart, and a run that says hostile things of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from exports.exports_world import drawn
from PIL import Image
from report.report_world import explained, run_info, scored
from starlette.testclient import TestClient

from autointerp.commands.view import View
from autointerp.dump.format import Attribute, CoderOrigin
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.explorer.server import app_of
from autointerp.explorer.viewed import Viewed
from autointerp.job import Silent, reference
from autointerp.jobs.view import viewed
from autointerp.runs.exchanges import Exchange, Sent, ShownTile, Turn, packed
from autointerp.runs.folder import RunWriter
from autointerp.schema import Box, Exemplar, FeatureRow, Verdict
from autointerp.web.guard import Guard

HOSTILE = '</bdi></script><script>window.owned = 1</script><img src=x onerror="window.owned = 2"><b id=forged>bold</b>'
AT = "http://127.0.0.1:8765"
COLOURS = ("red", "lime", "blue", "yellow")
SIZE = (80, 60)
BROKEN, LAST = 4, 5
"""Images: one that is torn, and one on which nothing fires."""
HEAT = bytes([255, 0, 0, 0])
"""All in the left upper cell of 2 x 2."""


def picture(colour: str) -> bytes:
    """The left upper quarter has the colour, all else is black."""
    image = Image.new("RGB", SIZE, "black")
    image.paste(colour, (0, 0, SIZE[0] // 2, SIZE[1] // 2))
    target = BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def active(image: int, activation: float, stratum: str = "top", chance: float = 1.0) -> Exemplar:
    return Exemplar(image, activation, stratum, chance, Box(0, 0, SIZE[0] // 2, SIZE[1] // 2), HEAT)


FEATURES: dict[int, list[Exemplar]] = {
    0: [active(1, 3.0), active(0, 4.0), active(2, 1.0, "q1", 0.5), Exemplar(3, 0.0, "silent", 0.1, None, None)],
    1: [active(0, 2.0), active(BROKEN, 1.5)],
    3: [active(0, 9.0), active(2, 8.0, "q1", 0.5)],
    7: [],
}
"""Numbers 2 and 4 to 6 are not in the dump."""


def write_dump(path: Path, coder: CoderOrigin | None = None) -> Path:
    info = drawn(
        widths=(2, 8),
        active_above=0.5,
        patch_grid=(2, 2),
        attribute=Attribute(name="odd", description="has something odd"),
        coder=coder,
    )
    with DumpWriter(path, info) as writer:
        for image in range(LAST + 1):
            data = picture(COLOURS[image % len(COLOURS)])
            data = data[:41] if image == BROKEN else data
            label = HOSTILE if image == 0 else None
            writer.add_image(image, data=data, size=SIZE, sha256=None, label=label, attribute=image == 0)
        for feature, exemplars in FEATURES.items():
            highest = max((e.activation for e in exemplars), default=0.0)
            counts = tuple(range(50)) if exemplars else None
            row = FeatureRow(feature, 2 if feature < 2 else 8, 9, highest, 1, counts, (0,) if feature == 3 else None)
            writer.add_feature(row, exemplars)
    return path


VERDICTS = (
    Verdict(image=0, active=True, stratum="top", belief=1.0, weight=1.0),
    Verdict(image=2, active=True, stratum="q1", belief=0.0, weight=12.5),
    Verdict(image=3, active=False, stratum="silent", belief=0.5, weight=40.0),
)


def write_run(path: Path, dump: Path) -> Path:
    """Feature 0 is explained by a hostile text and judged in two ways; 1 plainly; 3 not at all."""
    with open_dump(dump) as opened:
        info = run_info("seer-1", "judge-1").model_copy(update={"dump": reference(opened)})
    asked = Exchange(
        key="0" * 16,
        task="explain",
        model="seer-1",
        turns=(
            Turn(
                role="user", parts=(Sent(text=HOSTILE), Sent(tiles=(ShownTile(number=1, image=0, rendering="full"),)))
            ),
        ),
        replies=(HOSTILE,),
    )
    with RunWriter(path, info) as writer:
        writer.explanation(explained(0, HOSTILE, concepts=(HOSTILE, "cells"), images=(0, 1), contrast=(3,)))
        writer.explanation(explained(1, "a lime corner", images=(0,)))
        writer.score(scored(0, 0.5, verdicts=VERDICTS))
        writer.exchanges(packed(0, "explain", "2026-11-23T12:00:00Z", [asked]))
    assert info.score is not None
    other = info.score.model_copy(update={"settings": info.score.settings.model_copy(update={"seed": 1})})
    asked = asked.model_copy(update={"key": "1" * 16, "task": "judge"})
    with RunWriter(path, info.with_judging("again", other), "again") as writer:
        writer.score(scored(0, 0.75))
        writer.exchanges(packed(0, "score", "2026-11-23T12:00:00Z", [asked]))
    return path


@contextmanager
def opened(*what: Path | str, **settings: object) -> Iterator[Viewed]:
    """The explorer of a run, of two runs or of a dump."""
    asked = View(what=str(what[0]), other=str(what[1]) if len(what) > 1 else None, **settings)
    with viewed(asked, Guard.at("127.0.0.1"), Silent()) as found:
        yield found


@contextmanager
def hostile(folder: Path, *, run: bool = True) -> Iterator[Viewed]:
    """The explorer of the hostile run, or of its dump alone, which are made where they are not there yet."""
    dump = folder / "dump"
    if not dump.exists():
        write_run(folder / "run", write_dump(dump))
    with opened(folder / "run" if run else dump, cache=folder / "cache") as what:
        yield what


def asking(what: Viewed) -> TestClient:
    """Asks the explorer without a browser."""
    return TestClient(app_of(what), base_url=AT, follow_redirects=False)
