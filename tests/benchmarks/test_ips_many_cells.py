"""Parts of a run are kept and gone on from; files are read as they were written."""

from pathlib import Path

import pytest

from benchmarks.ips.many.cells import Cell, Found, Part, Sweep, read, run_jobs, save, spent


def cell(task: str, values: tuple[float, ...], method: str = "GRPO") -> Cell:
    return Cell(task=task, group=8, method=method, figures={"valid": values}, seconds=1.0)


def counted(folder: str, name: str) -> Part:
    """Notes that it ran."""
    path = Path(folder) / f"ran-{name}"
    path.write_text(path.read_text() + "." if path.exists() else ".")
    return (cell(name, (0.5, 0.7)),), ()


def test_a_part_that_is_kept_is_not_run_again(tmp_path: Path):
    first = run_jobs("x", [("a", counted, (str(tmp_path), "a"))], tmp_path / "kept", 1)
    both = [(name, counted, (str(tmp_path), name)) for name in ("a", "b")]

    again = run_jobs("x", both, tmp_path / "kept", 1)

    assert [c.task for c in again[0]] == ["a", "b"]
    assert again[0][0] == first[0][0]
    assert (tmp_path / "ran-a").read_text() == (tmp_path / "ran-b").read_text() == "."

    took = spent(tmp_path / "kept", "x")
    run_jobs("x", both, tmp_path / "kept", 1)
    assert spent(tmp_path / "kept", "x") == took > 0  # nothing was missing


def fails(folder: str, name: str) -> Part:
    """Ends with an error, after the part before it."""
    raise ValueError(name)


def test_the_time_of_a_run_that_is_broken_off_counts_as_far_as_its_last_part(tmp_path: Path):
    asked = [("a", counted, (str(tmp_path), "a")), ("b", fails, (str(tmp_path), "b"))]

    with pytest.raises(ValueError, match="b"):
        run_jobs("x", asked, tmp_path / "kept", 1)

    assert spent(tmp_path / "kept", "x") > 0


def test_a_file_is_read_as_it_was_written(tmp_path: Path):
    sweep = Sweep(task="t", group=8, method="m", means={"1, 3": (0.9, 0.5)})
    cells = (cell("t", (0.25, 0.5)), cell("t", (0.0, 1.0), "IPS-GRPO"))
    found = Found(machine="x", seconds=1.5, settings={"seeds": 2}, cells=cells, sweeps=(sweep,), facts={"n": 3.0})

    save(tmp_path / "found.json", found)

    assert read(tmp_path / "found.json") == found
    assert len((tmp_path / "found.json").read_text().splitlines()) < 25


def test_differences_are_taken_seed_by_seed():
    cells = (cell("t", (0.2, 0.6)), cell("t", (0.3, 0.7), "IPS-GRPO"))
    found = Found(machine="x", seconds=1.5, settings={}, cells=cells)

    e = found.difference(["t"], 8, ("IPS-GRPO", "GRPO"), "valid")

    assert abs(e.value - 0.1) < 1e-12
    assert e.high - e.low < 1e-9
