"""The lines of a manifest of batch files: what was recorded, written, sent, answered and given up."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from autointerp.lmm.capabilities import Dialect
from autointerp.record import Record


class Planned(Record):
    """A stage was recorded; what was finished of it before counts no more, what was written and not sent is dropped."""

    event: Literal["planned"] = "planned"
    stage: str


class Finished(Record):
    """A stage has nothing left to ask."""

    event: Literal["finished"] = "finished"
    stage: str


class Written(Record):
    """A file of requests is complete."""

    event: Literal["written"] = "written"
    file: str
    stage: str
    model: str
    base_url: str | None
    lines: int
    bytes: int
    questions: dict[str, tuple[str, ...]]
    """Keys of the requests, by the shape of the reply they ask for."""
    input_tokens: int = 0
    output_tokens: int = 0
    """That all of them are expected to take; 0 where it is not known."""


class Uploaded(Record):
    """A file is with the endpoint."""

    event: Literal["uploaded"] = "uploaded"
    file: str
    id: str


class Started(Record):
    """The endpoint works on a file."""

    event: Literal["started"] = "started"
    file: str
    batch: str


class Taken(Record):
    """Results were read; their completions are in the cache."""

    event: Literal["taken"] = "taken"
    answered: tuple[str, ...] = ()
    failed: dict[str, tuple[str, ...]] = Field(default={})
    """Keys that were not answered, by the kind of error."""
    lines: tuple[str, ...] = ()
    """Digests of the lines that said so: read again, they say nothing of a question that was asked again since."""


class Ended(Record):
    """Nothing more will come of a file; what it left unanswered is written again."""

    event: Literal["ended"] = "ended"
    file: str
    status: str
    """completed, expired, cancelled, failed, as the endpoint says, `gone` where it knows it no more; of files that were
    not sent: `abandoned` by the user, `rewritten` without what was answered since, `over budget`, `lost` from disk."""


class Learnt(Record):
    """What the endpoint takes for a model, from its complaints about a whole file."""

    event: Literal["learnt"] = "learnt"
    model: str
    base_url: str | None
    dialect: Dialect


Event = Annotated[
    Planned | Finished | Written | Uploaded | Started | Taken | Ended | Learnt, Field(discriminator="event")
]
AnyEvent = Planned | Finished | Written | Uploaded | Started | Taken | Ended | Learnt
EVENT = TypeAdapter[AnyEvent](Event)
