"""What is known of a run's batch files: an append-only manifest of what was written, sent, answered and given up.

A file goes from `written` by `uploaded` and `started` to the word by which it `ended`; it is `done` once no question in
it waits for an answer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import SerializerFunctionWrapHandler, TypeAdapter, model_serializer, model_validator

from autointerp.batch.endpoints import CHAT, AnyDialect, Endpoint, dialect_at
from autointerp.errors import RunError, one_line
from autointerp.lmm.address import checked_url, identity
from autointerp.lmm.cache import Cache
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.record import Record
from autointerp.runs.jsonl import Appender, read_lines

MANIFEST = "manifest.jsonl"
_NAME = re.compile(r"requests-\d{5,9}\.jsonl")
PART = ".part"
"""Ends the name of a file that is being written."""


@dataclass
class BatchFile:
    """One file of requests and how far it is."""

    name: str
    stage: str
    model: str
    base_url: str | None
    endpoint: Endpoint
    bytes: int
    shapes: Mapping[str, str] = field(repr=False)
    """Shape of the reply by key."""
    open: set[str] = field(repr=False)
    """Keys that wait for an answer from this file."""
    input_tokens: int = 0
    output_tokens: int = 0
    digest: str | None = None
    upload: str | None = None
    batch: str | None = None
    ended: str | None = None

    @property
    def pictures(self) -> bool:
        """Whether it asks for pictures."""
        return self.endpoint != CHAT

    @property
    def lines(self) -> int:
        """Returns how many requests the file holds."""
        return len(self.shapes)

    @property
    def state(self) -> str:
        """How far it is, in a word."""
        at = "started" if self.batch else "uploaded" if self.upload else "written"
        return self.ended or (at if self.open else "done")

    @property
    def unsent(self) -> bool:
        """Whether it could be sent to the endpoint."""
        return self.state in ("written", "uploaded")

    @property
    def running(self) -> bool:
        """Whether the endpoint works on it."""
        return self.batch is not None and self.ended is None

    @property
    def expected(self) -> TokenEstimate:
        """Tokens that the open questions may take: their share of what was estimated of the file."""
        share = (-(-n * len(self.open) // max(1, self.lines)) for n in (self.input_tokens, self.output_tokens))
        return TokenEstimate(*share)


NEEDS = {
    "planned": ("stage",),
    "finished": ("stage",),
    "written": ("file", "stage", "model", "base_url", "lines", "bytes", "questions"),
    "uploaded": ("file", "id"),
    "started": ("file", "batch"),
    "ended": ("file", "status"),
    "taken": (),
    "learnt": ("model", "base_url", "dialect"),
}
"""The events, and the fields that each must have.

A stage is recorded anew, which drops what was written for it and not sent, or it has nothing left to ask. A file is
complete on disk, with the endpoint, worked on, or ended, and what it left unanswered is written again. Results are in
the cache. An endpoint takes less for a model than was thought.
"""


class Event(Record):
    """One line of a manifest: what happened, and what belongs to it."""

    event: Literal["planned", "finished", "written", "uploaded", "started", "ended", "taken", "learnt"]
    stage: str = ""
    file: str = ""
    model: str = ""
    base_url: str | None = None
    endpoint: Endpoint = CHAT
    """What it is a file of requests to; manifests of earlier versions know one."""
    bytes: int = 0
    questions: Mapping[str, tuple[str, ...]] = {}
    """Keys of the requests, by the shape of the reply they ask for."""
    input_tokens: int = 0
    output_tokens: int = 0
    """That all of them are expected to take; 0 where it is not known."""
    digest: str | None = None
    """BLAKE2b of the file, 32 hex digits; None in manifests of earlier versions."""
    id: str | None = None
    """Of the uploaded file at the endpoint."""
    batch: str | None = None
    status: str | None = None
    """How a file ended: completed, expired, cancelled, failed, as the endpoint says; `gone` where it knows it no more;
    of files that were not sent: `abandoned` by the user, `rewritten` without what was answered since, `over budget`,
    `lost` where the file on disk is not as it was written."""
    answered: tuple[str, ...] = ()
    failed: Mapping[str, tuple[str, ...]] = {}
    """Keys that were not answered, by the kind of error."""
    lines: int | tuple[str, ...] = 0
    """Requests of a file; or digests of the lines that told of errors: read again, they say nothing of a question that
    was asked again since."""
    dialect: AnyDialect | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if missing := [name for name in NEEDS[self.event] if name not in self.model_fields_set]:
            raise ValueError(f"{self.event} without {', '.join(missing)}")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, whole: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in whole(self).items() if name in self.model_fields_set}


EVENT = TypeAdapter(Event)


class Manifest:
    """The manifest of a folder of batch files; a context manager where it is written.

    Args:
        folder: `batch/` of a run.
        writing: to add events too; what a kill left half-done is then mended. For one process at a time.

    Raises:
        RunError: the manifest has a line that is not one, names a file that is none of its own, or lacks a line that a
            later one needs.
        SettingsError: an address in it cannot be used.
    """

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.folder = folder
        self.files: dict[str, BatchFile] = {}
        self.finished: set[str] = set()
        """Stages that have nothing left to ask."""
        self.home: dict[str, BatchFile] = {}
        """The last file that each question stands in."""
        self.lost: dict[str, str | None] = {}
        """Why a question has no answer; None where it is not written again by itself."""
        self.errors_read: set[str] = set()
        """Digests of error lines."""
        self.dialects: dict[tuple[Endpoint, str, str | None], AnyDialect | None] = {}
        self._out: Appender[Event] | None = None
        self._torn = False
        for event in read_lines(folder / MANIFEST, EVENT):
            if event.event == "written":
                _check(event, folder / MANIFEST)
            self._apply(event)
        self._named = max((int(n) for name in self.files for n in re.findall(r"\d+", name)), default=0)
        if writing:
            folder.mkdir(parents=True, exist_ok=True)
            self._out = Appender(folder / MANIFEST, EVENT)
            self._mend()

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._out is not None:
                self._out.close()
        except OSError as e:
            raise RunError(f"{self.folder / MANIFEST}: cannot be written ({e.strerror}); free space") from e

    @property
    def unsent(self) -> list[BatchFile]:
        """Files that could be sent to the endpoint."""
        return [file for file in self.files.values() if file.unsent]

    @property
    def running(self) -> list[BatchFile]:
        """Files that the endpoint works on."""
        return [file for file in self.files.values() if file.running]

    @property
    def n_open(self) -> int:
        """Questions whose answers may still come."""
        return sum(len(file.open) for file in self.files.values())

    @property
    def unanswered(self) -> dict[str, str]:
        """Questions to be written again, and why: the kind of error, or how the batch ended."""
        return {key: why for key, why in self.lost.items() if why is not None}

    def waits(self, key: str) -> bool:
        """Whether the question is written and its answer may still come."""
        return key in self.home and key in self.home[key].open

    def dialect(self, endpoint: Endpoint, model: str, base_url: str | None, cache: Cache) -> AnyDialect:
        """What a server takes for a model: learnt from its results, else remembered in the cache, else a guess."""
        learnt = self.dialects.get((endpoint, model, identity(base_url)))
        return learnt or dialect_at(endpoint, base_url, model, cache)

    def next_name(self) -> str:
        """Of the next file; no other one has it."""
        self._named += 1
        return f"requests-{self._named:05d}.jsonl"

    def add(self, event: Event) -> None:
        """Writes an event and takes it in.

        Raises:
            RunError: it cannot be written; nothing is added after that, since its line may be torn.
        """
        assert self._out is not None, "it was opened to be read"
        if self._torn:
            raise RunError(f"{self.folder / MANIFEST}: could not be written before; run the same command again")
        self._torn = True
        self._out.append(event)
        self._torn = False
        self._apply(event)

    def give_up(self, file: BatchFile, why: str) -> None:
        """Ends a file that was not sent; what is open in it is written again."""
        self.add(Event(event="ended", file=file.name, status=why))
        (self.folder / file.name).unlink(missing_ok=True)

    def _apply(self, event: Event) -> None:
        try:
            match event.event:
                case "planned":
                    self._plan(event.stage)
                case "finished":
                    self.finished.add(event.stage)
                case "written":
                    self._write(event)
                case "taken":
                    self._take(event)
                case "learnt":
                    self.dialects[event.endpoint, event.model, identity(event.base_url)] = event.dialect
                case _:
                    self._move(self.files[event.file], event)
        except KeyError as e:
            raise RunError(
                f"{self.folder / MANIFEST}: speaks of {e.args[0]}, but the line that says it was written is missing; "
                f"put that line back, or delete {self.folder} and give the recorded commands with --batch again"
            ) from e

    def _plan(self, stage: str) -> None:
        self.finished.discard(stage)
        # The command may ask other questions now, so these are not written again by themselves.
        for file in [f for f in self.unsent if f.stage == stage]:
            file.ended = "abandoned"
            self._lose(file.open, None)

    def _write(self, event: Event) -> None:
        shapes = {key: shape for shape, keys in event.questions.items() for key in keys}
        same = ("stage", "model", "base_url", "endpoint", "bytes", "input_tokens", "output_tokens", "digest")
        known = {name: getattr(event, name) for name in same}
        file = self.files[event.file] = BatchFile(event.file, shapes=shapes, open=set(shapes), **known)
        for key in shapes:
            if key in self.home:
                self.home[key].open.discard(key)  # it is asked in one place
            self.home[key] = file
            self.lost.pop(key, None)

    def _take(self, event: Event) -> None:
        for key in event.answered:
            self.home[key].open.discard(key)
            self.lost.pop(key, None)
        self.errors_read.update(event.lines if isinstance(event.lines, tuple) else ())
        for kind, keys in event.failed.items():
            self._lose(keys, kind)

    def _move(self, file: BatchFile, event: Event) -> None:
        file.upload, file.batch = event.id or file.upload, event.batch or file.batch
        if event.status is not None:
            file.ended = event.status
            self._lose(file.open, event.status)

    def _lose(self, keys: Iterable[str], why: str | None) -> None:
        for key in sorted(keys):
            self.home[key].open.discard(key)
            self.lost[key] = why

    def _mend(self) -> None:
        """A file stands in the manifest before it gets its name; any other unfinished one says nothing to anybody."""
        for part in sorted(self.folder.glob(f"*{PART}")):
            whole = part.with_name(part.name.removesuffix(PART))
            if whole.name in self.files and not whole.exists():
                part.replace(whole)
            else:
                part.unlink()


def _check(event: Event, manifest: Path) -> None:
    """A folder from elsewhere names no file that would be sent or removed in place of its own, and no odd address."""
    if _NAME.fullmatch(event.file) is None:
        raise RunError(
            f"{manifest}: speaks of a file {one_line(repr(event.file))}, which is none of a batch job; delete "
            f"{manifest.parent} and give the recorded commands with --batch again"
        )
    checked_url(event.base_url, f"{manifest}: base_url")
