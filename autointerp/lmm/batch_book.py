"""What is known of a run's batch files: an append-only manifest of what was written, sent, answered and given up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from autointerp.lmm.dialect import Dialect
from autointerp.runs.jsonl import Appender, read_lines
from autointerp.schema import Record

MANIFEST = "manifest.jsonl"
PART = ".part"
"""Ends the name of a file that is being written."""


class Planned(Record):
    """A stage was recorded; what was finished of it before counts no more."""

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


class Ended(Record):
    """Nothing more will come of a file; what it left unanswered is written again."""

    event: Literal["ended"] = "ended"
    file: str
    status: str
    """completed, expired, cancelled, failed, as the endpoint says; `abandoned` by the user."""


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
_EVENT = TypeAdapter[AnyEvent](Event)


@dataclass
class BatchFile:
    """One file of requests and how far it is."""

    name: str
    stage: str
    model: str
    base_url: str | None
    lines: int
    bytes: int
    shapes: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Shape of the reply by key."""
    open: set[str] = field(repr=False, default_factory=set)
    """Keys that wait for an answer from this file."""
    upload: str | None = None
    batch: str | None = None
    ended: str | None = None

    @property
    def state(self) -> str:
        """In a word."""
        if self.ended is not None:
            return self.ended
        if not self.open:
            return "done"
        return "started" if self.batch else "uploaded" if self.upload else "written"

    @property
    def unsent(self) -> bool:
        """Whether it could be sent to the endpoint."""
        return self.batch is None and self.ended is None and bool(self.open)

    @property
    def running(self) -> bool:
        """Whether the endpoint works on it."""
        return self.batch is not None and self.ended is None


class Book:
    """The manifest of a folder of batch files.

    Args:
        folder: `batch/` of a run.
        writing: to add events too; what a kill left half-done is then mended. For one process at a time.

    Raises:
        RunError: the manifest has a line that is not one.
    """

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.folder = folder
        self.files: dict[str, BatchFile] = {}
        self.finished: set[str] = set()
        """Stages that have nothing left to ask."""
        self._home: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._dialects: dict[tuple[str, str | None], Dialect] = {}
        for event in read_lines(folder / MANIFEST, _EVENT):
            self._apply(event)
        if writing:
            folder.mkdir(parents=True, exist_ok=True)
        self._manifest = Appender(folder / MANIFEST, _EVENT) if writing else None
        if writing:
            self._mend()

    def add(self, event: AnyEvent) -> None:
        """Writes an event and takes it in."""
        assert self._manifest is not None
        self._manifest.append(event)
        self._apply(event)

    def close(self) -> None:
        """Writes through."""
        if self._manifest is not None:
            self._manifest.close()

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def file_of(self, key: str) -> BatchFile | None:
        """The last file that the question stands in; None where it is none of this run's."""
        name = self._home.get(key)
        return self.files[name] if name is not None else None

    def waits(self, key: str) -> bool:
        """Whether the question is written and its answer may still come."""
        home = self.file_of(key)
        return home is not None and key in home.open

    @property
    def n_open(self) -> int:
        """Questions whose answers may still come."""
        return sum(len(file.open) for file in self.files.values())

    @property
    def unanswered(self) -> Mapping[str, str]:
        """Questions to be written again, and why: the kind of error, or how the batch ended."""
        return self._failed

    def dialect(self, model: str, base_url: str | None) -> Dialect | None:
        """What was learnt of an endpoint from its results."""
        return self._dialects.get((model, base_url))

    def next_name(self) -> str:
        """Of the next file."""
        return f"requests-{len(self.files) + 1:05d}.jsonl"

    def on_disk(self) -> Iterator[BatchFile]:
        """Files that were not deleted."""
        return (file for name, file in self.files.items() if (self.folder / name).exists())

    def _apply(self, event: AnyEvent) -> None:
        match event:
            case Planned() | Finished():
                change = self.finished.add if event.event == "finished" else self.finished.discard
                change(event.stage)
            case Written():
                self._written(event)
            case Uploaded() | Started() | Ended():
                self._moved(self.files[event.file], event)
            case Taken():
                self._taken(event)
            case Learnt():
                self._dialects[event.model, event.base_url] = event.dialect

    def _moved(self, file: BatchFile, event: Uploaded | Started | Ended) -> None:
        match event:
            case Uploaded():
                file.upload = event.id
            case Started():
                file.batch = event.batch
            case Ended():
                file.ended = event.status
                self._fail(sorted(file.open), event.status)

    def _written(self, event: Written) -> None:
        shapes = {key: shape for shape, keys in event.questions.items() for key in keys}
        self.files[event.file] = BatchFile(
            event.file, event.stage, event.model, event.base_url, event.lines, event.bytes, shapes, set(shapes)
        )
        for key in shapes:
            self._home[key] = event.file
            self._failed.pop(key, None)

    def _taken(self, event: Taken) -> None:
        for key in event.answered:
            self.files[self._home[key]].open.discard(key)
            self._failed.pop(key, None)
        for kind, keys in event.failed.items():
            self._fail(keys, kind)

    def _fail(self, keys: Iterable[str], kind: str) -> None:
        for key in keys:
            self.files[self._home[key]].open.discard(key)
            self._failed[key] = kind

    def _mend(self) -> None:
        """A file stands in the manifest before it gets its name; any other unfinished one says nothing to anybody."""
        for part in sorted(self.folder.glob(f"*{PART}")):
            whole = part.with_name(part.name.removesuffix(PART))
            if whole.name in self.files and not whole.exists():
                part.replace(whole)
            else:
                part.unlink()
