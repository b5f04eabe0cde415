"""The functions of the package as callers meet them."""

import ast
import inspect
from pathlib import Path

import pytest

import autointerp

FUNCTIONS = [name for name in autointerp.__all__ if inspect.isfunction(getattr(autointerp, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wherever_a_path_is_taken_text_is_taken_too(name: str):
    parameters = inspect.signature(getattr(autointerp, name)).parameters.values()

    assert [p.name for p in parameters if "Path" in str(p.annotation) and "str" not in str(p.annotation)] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shown": "x"}, "shown='x': input should be 'drawn' or 'highest'"),
        ({"engine": "ray", "shard": "0/2"}, "shard is worked on by one process; for several give more shards, or"),
        ({"model": "m", "base_url": "nowhere"}, "base_url nowhere: not an http(s) address"),
    ],
)
def test_what_is_wrong_is_named_by_its_keyword(given: dict[str, object], said: str, tmp_path: Path):
    with pytest.raises(autointerp.AutointerpError) as raised:
        autointerp.explain(tmp_path / "dump", tmp_path / "run", **{"model": "m", **given})

    assert str(raised.value).startswith(said)


def test_only_the_one_function_that_may_be_called_from_a_running_loop_begins_one():
    """Whatever else ran a loop of its own would fail in a notebook, which has one."""
    beginning = {"run_until_complete", "run_forever", "new_event_loop", "Runner"}
    package = Path(autointerp.__file__).parent
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                begins = node.attr in beginning or (node.value.id, node.attr) == ("asyncio", "run")
                found |= {file.relative_to(package).as_posix()} if begins else set()

    assert found == {"pipeline.py"}


def test_a_listing_names_what_wraps_a_module_where_torch_is_installed():
    pytest.importorskip("torch")

    assert {"ModuleBackbone", "Tap", "harvest", "import_delphi"} <= set(dir(autointerp))
