from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from report_world import explained, run_info, scored, separation

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.images.renderer import Renderer
from autointerp.reports.collect import collect
from autointerp.reports.judge import judge_notes
from autointerp.reports.page import write_report
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.schema import Box, Exemplar, FeatureRow


def png(colour: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (80, 60), colour).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def dump_path(tmp_path: Path) -> Path:
    """Feature 2 of 4: active on a red and a blue picture, silent on a white one."""
    info = DumpInfo(
        name="drawn",
        created="2026-11-23T12:00:00+00:00",
        created_by="a test",
        model="ViT",
        hookpoint="block 3",
        n_latents=4,
        widths=(4,),
        n_images=100,
        active_above=0.0,
    )
    with DumpWriter(tmp_path / "dump", info) as writer:
        for image, colour in enumerate(("red", "blue", "white")):
            writer.add_image(image, data=png(colour))
        active = [Exemplar(i, 3.0 - i, "top", 1.0, Box(0, 0, 40, 40), None) for i in range(2)]
        silent = Exemplar(2, 0.0, "silent", 0.1, None, None)
        writer.add_feature(FeatureRow(2, 4, 5, 3.0, None, None), [*active, silent])
    return tmp_path / "dump"


def renderer_of(read) -> Renderer:
    return Renderer(read, workers=1, decoded_mb=4, encoded_mb=4, max_pixels=10_000)


def test_a_run_on_disk_becomes_one_file(dump_path: Path, tmp_path: Path):
    with RunWriter(tmp_path / "first", run_info("seer-1", "judge-1")) as writer:
        writer.explanation(explained(2))
        writer.score(scored(2, 0.75))

    with open_dump(dump_path) as dump:
        renderer = renderer_of(dump.image_source)
        run = open_run(tmp_path / "first")
        data = collect(run, dump, renderer, None, separations=lambda _: (separation(),), calibration=None)
        info = write_report(data, tmp_path / "r.html", limit=9)
        renderer.close()

    # Two active pictures cropped and whole, the silent one whole.
    text = info.path.read_text()
    assert (info.features, info.cards, info.pictures, info.broken) == (1, 1, 5, 0)
    assert info.size == len(text.encode())
    assert "<title>first</title>" in text
    assert "a red wheel" in text
    assert str(tmp_path) not in text


def test_the_facts_name_dump_models_prompts_seed_and_versions(dump_path: Path, tmp_path: Path):
    with open_dump(dump_path) as dump:
        run = Run(tmp_path / "first", run_info("seer-1", "judge-1"))
        data = collect(
            run,
            dump,
            renderer_of(dump.image_source),
            "A title",
            separations=lambda _: (separation(),),
            calibration=None,
        )

    assert data.title == "A title"
    assert data.facts["Dump"] == "drawn"
    assert data.facts["Explainer"] == "seer-1"
    assert data.facts["Judge"] == "judge-1"
    assert data.facts["Prompts"] == "explain 0123456789ab, judge ba9876543210"
    assert data.facts["Seed"] == "7"
    assert data.facts["Run made"] == "2026-11-23 by autointerp 0.1.0"
    assert data.notes == judge_notes(run.info, None)
    assert data.separations(()) == (separation(),)
    assert data.info.attribute is None
