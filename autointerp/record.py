"""The base of every record that stages hand to each other, and of what it holds several."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast

_T = TypeVar("_T")
Several = Annotated[tuple[_T, ...], FailFast()]
"""A tuple whose check ends at its first fault: a damaged list may hold millions, and each would take a kilobyte."""


class Record(BaseModel):
    """A frozen value, born complete; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
