"""The functions of the package as callers meet them."""

import inspect

import pytest

import autointerp

FUNCTIONS = [name for name in autointerp.__all__ if inspect.isfunction(getattr(autointerp, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wherever_a_path_is_taken_text_is_taken_too(name: str):
    parameters = inspect.signature(getattr(autointerp, name)).parameters.values()

    assert [p.name for p in parameters if "Path" in str(p.annotation) and "str" not in str(p.annotation)] == []
