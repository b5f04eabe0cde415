"""The base of every record that stages hand to each other."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value, born complete; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
