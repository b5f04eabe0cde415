"""A dump of eight features over drawn pictures, and a run in which each of them ended otherwise."""

from io import BytesIO
from pathlib import Path

from PIL import Image
from report.report_world import explained, failed, run_info, scored, unscored

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.job import reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import RunInfo
from autointerp.schema import Box, Control, Exemplar, FeatureRow
from autointerp.unexplainable import NEVER_FIRED, UNEXPLAINABLE

HOSTILE = '=cmd|" /C calc"!A0 <script>window.owned=1</script>\n"quoted", \u202eesrever'
N_IMAGES = 100


def png(colour: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (80, 60), colour).save(target, "PNG")
    return target.getvalue()


def drawn(**more: object) -> DumpInfo:
    """Eight latents, of which half stand in a smaller prefix, but for what is said otherwise."""
    usual: dict[str, object] = {
        "name": "drawn",
        "created": "2026-11-23T12:00:00+00:00",
        "created_by": "a test",
        "model": "ViT",
        "hookpoint": "block 3",
        "n_latents": 8,
        "widths": (4, 8),
        "n_images": N_IMAGES,
        "active_above": 0.0,
    }
    return DumpInfo(**usual | more)  # pyright: ignore[reportArgumentType]


def write_dump(path: Path, n: int = 8, broken: bool = False) -> Path:
    """Features active on pictures 0 to 2 and silent on 3; feature 5 never fired. Image 2 is torn if `broken`."""
    info = drawn(n_latents=n, widths=(4, n))
    with DumpWriter(path, info) as writer:
        for image, colour in enumerate(("red", "green", "blue", "white")):
            data = png(colour)
            writer.add_image(image, data=data[:41] if broken and image == 2 else data, label="<b>wheel</b>")
        for feature in range(n):
            width = 4 if feature < 4 else n
            if feature == 5:
                writer.add_feature(FeatureRow(feature, width, 0, 0.0, None, None), [])
                continue
            active = [Exemplar(i, 3.0 - i, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(3)]
            row = FeatureRow(feature, width, 5, 3.0, None, None)
            writer.add_feature(row, [*active, Exemplar(3, 0.0, "silent", 0.5, None, None)])
    return path


def info_of(dump: Path) -> RunInfo:
    with open_dump(dump) as opened:
        return run_info("seer-1", "judge-1").model_copy(update={"dump": reference(opened)})


def write_run(path: Path, dump: Path) -> Path:
    """0 scored, 1 hostile and unscored, 2 of no property, 3 mixed and its score failed, 4 failed, 5 never fired."""
    with RunWriter(path, info_of(dump)) as writer:
        writer.explanation(explained(0, "an older text"))
        writer.failure(failed(0))
        writer.explanation(explained(0, "a red wheel"))
        writer.explanation(explained(1, HOSTILE))
        writer.explanation(explained(2, ""))
        writer.explanation(explained(3, "sand or snow", mixed=True, concepts=("sand", "snow")))
        writer.failure(failed(4))
        writer.failure(failed(5, kind=UNEXPLAINABLE, message=NEVER_FIRED))
        writer.score(
            scored(0, 0.5, details={"precision": 0.25, "form": "x"}, controls={"constant": Control(value=0.1)})
        )
        writer.score(unscored(1))
        writer.score(scored(3, 0.75, "choice"))
        writer.failure(failed(3, "score:detection", message="no answer"))
        writer.failure(failed(0, "score:naming", kind="refused", message="no"))
    return path
