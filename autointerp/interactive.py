"""What a notebook shows of itself: records as HTML, and how far a function is; a script is shown neither."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol


class Shown:
    """A record that a notebook shows as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        # What makes HTML stands above all records, so it is named here and not imported.
        return importlib.import_module("autointerp.notebook.shown").html_of(self)


class Here:
    """Something of this process alone; a copy of it, in another process or this one, is None."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return type(None), ()


class Display(Protocol):
    """Shows something until it is closed."""

    def close(self) -> None:
        """Shows nothing more from now on."""
        ...


def shell() -> object | None:
    """IPython's shell in this process; None in a script."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


@contextmanager
def progressing(handed_on: dict[str, object]) -> Iterator[None]:
    """Puts a display of the progress beside what a function is given, where somebody sees it and did not decline.

    Args:
        handed_on: the function's keywords that are no options; `progress` of False is taken out.
    """
    if handed_on.get("progress") is False:
        del handed_on["progress"]
    elif "progress" not in handed_on and (made := _display()) is not None:
        handed_on["progress"] = made
        with closing(made):
            yield
        return
    yield


def _display() -> Display | None:
    if (found := shell()) is None:
        return None
    # What displays stands above all that works, so it is named here and not imported.
    if hasattr(found, "kernel"):
        return importlib.import_module("autointerp.cli.notebook").InNotebook()
    return importlib.import_module("autointerp.cli.progress").Live(as_json=False)
