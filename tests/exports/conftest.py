from pathlib import Path

import pytest
from exports_world import write_dump, write_run


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "dump")


@pytest.fixture
def run(tmp_path: Path, dump: Path) -> Path:
    return write_run(tmp_path / "run", dump)
