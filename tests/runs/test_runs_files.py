from pathlib import Path

import pytest

from autointerp.runs.files import replace_file


def test_a_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path):
    (tmp_path / "run.json").mkdir()

    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "run.json", b"{}")

    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_draft_is_never_written_through_a_link(tmp_path: Path):
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "run.json.part").symlink_to(tmp_path / "precious")

    replace_file(tmp_path / "run.json", b"{}")

    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert (tmp_path / "run.json").read_bytes() == b"{}"
    assert not (tmp_path / "run.json").is_symlink()
