from pathlib import Path

import pytest

from autointerp.runs.files import replace_file


def test_a_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path):
    (tmp_path / "run.json").mkdir()

    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "run.json", b"{}")

    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
