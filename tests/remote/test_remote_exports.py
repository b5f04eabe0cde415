"""A run at a URL is exported from a copy that is gone afterwards."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from exports.exports_world import write_dump, write_run
from remote.stores import upload

from autointerp.commands.export import export
from autointerp.errors import AutointerpError


def test_a_run_at_a_url_has_the_same_rows_as_in_a_folder(memory: str, tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    upload(run, f"{memory}/run")

    there = export(f"{memory}/run", "parquet", tmp_path / "there.parquet").out
    here = export(run, "parquet", tmp_path / "here.parquet").out

    assert pq.read_table(there).equals(pq.read_table(here))


def test_a_run_at_a_url_needs_a_place_to_write_to(memory: str):
    with pytest.raises(AutointerpError, match=r"out: is needed for a run at a URL, such as .*features\.csv"):
        export(f"{memory}/run", "csv")


def test_a_site_of_a_run_at_a_url_goes_by_its_name(memory: str, tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    upload(run, f"{memory}/runs/tenth")

    out = export(f"{memory}/runs/tenth", "site", tmp_path / "site", pictures=0).out

    assert "<title>tenth</title>" in (out / "index.html").read_text()
