"""What the commands that write a file say with --json."""

import json
from pathlib import Path

from standin.commands import Done, run
from standin.planted import Population


def test_report_names_its_page(done: Done, planted: Population, tmp_path: Path):
    page = tmp_path / "page.html"

    result = run("report", done.run, "--out", page, "--limit", "1", "--json")

    assert (result.code, json.loads(result.out)) == (0, {"report": str(page)})
    assert page.is_file()


def test_inspect_of_a_feature_names_its_sheet(planted: Population, tmp_path: Path):
    sheet = tmp_path / "sheet.png"

    result = run("inspect", planted.folder, "--feature", "3", "--out", sheet, "--json")

    assert (result.code, json.loads(result.out)) == (0, {"feature": 3, "sheet": str(sheet)})
    assert sheet.is_file()


def test_import_tells_of_the_dump_it_wrote(planted: Population, tmp_path: Path):
    source = tmp_path / "source" / "12"
    source.mkdir(parents=True)
    for name in ("0.png", "2.png"):
        (source / name).write_bytes((planted.folder / "images" / name).read_bytes())

    result = run("import", "folder", tmp_path / "source", tmp_path / "dump", "--json")

    said = json.loads(result.out)
    assert (result.code, said["dump"]) == (0, str(tmp_path / "dump"))
    assert (said["n_images"], said["n_latents"]) == (2, 13)
