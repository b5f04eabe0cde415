"""What is known of a run's batch files: an append-only manifest of what was written, sent, answered and given up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.batch.events import (
    EVENT,
    AnyEvent,
    Ended,
    Finished,
    Learnt,
    Planned,
    Started,
    Taken,
    Uploaded,
    Written,
)
from autointerp.errors import RunError, one_line
from autointerp.lmm.address import checked_url, identity
from autointerp.lmm.capabilities import Dialect
from autointerp.lmm.image_tokens import TokenEstimate
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
    lines: int
    bytes: int
    shapes: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Shape of the reply by key."""
    input_tokens: int = 0
    output_tokens: int = 0
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
    def expected(self) -> TokenEstimate:
        """Tokens that the open questions may take: their share of what was estimated of the file."""
        return TokenEstimate(
            *(-(-n * len(self.open) // max(1, self.lines)) for n in (self.input_tokens, self.output_tokens))
        )

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
        RunError: the manifest has a line that is not one, names a file that is none of its own, or lacks a line that a
            later one needs.
        SettingsError: an address in it cannot be used.
    """

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.folder = folder
        self.files: dict[str, BatchFile] = {}
        self.finished: set[str] = set()
        """Stages that have nothing left to ask."""
        self._home: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._dropped: set[str] = set()
        self._lines: set[str] = set()
        self._dialects: dict[tuple[str, str | None], Dialect] = {}
        self._read(folder / MANIFEST)
        if writing:
            folder.mkdir(parents=True, exist_ok=True)
        self._manifest = Appender(folder / MANIFEST, EVENT) if writing else None
        if writing:
            self._mend()

    def _read(self, manifest: Path) -> None:
        for event in read_lines(manifest, EVENT):
            if isinstance(event, Written):
                _check(event, manifest)
            try:
                self._apply(event)
            except KeyError as e:
                raise RunError(
                    f"{manifest}: speaks of {e.args[0]}, but the line that says it was written is missing; put that "
                    f"line back, or delete {self.folder} and give the recorded commands with --batch again"
                ) from e

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

    def lacks(self, key: str) -> bool:
        """Whether the question was written and never answered, so that an answer is welcome, however late."""
        return self.waits(key) or key in self._failed or key in self._dropped

    def knows(self, line: str) -> bool:
        """Whether the error line with this digest was read before."""
        return line in self._lines

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
        return self._dialects.get((model, identity(base_url)))

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
                if event.event == "planned":
                    self._drop(event.stage)
            case Written():
                self._written(event)
            case Uploaded() | Started() | Ended():
                self._moved(self.files[event.file], event)
            case Taken():
                self._taken(event)
            case Learnt():
                self._dialects[event.model, identity(event.base_url)] = event.dialect

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
            event.file,
            event.stage,
            event.model,
            event.base_url,
            event.lines,
            event.bytes,
            shapes,
            event.input_tokens,
            event.output_tokens,
            set(shapes),
        )
        for key in shapes:
            if (home := self._home.get(key)) is not None:
                self.files[home].open.discard(key)  # it is asked in one place
            self._home[key] = event.file
            self._failed.pop(key, None)
            self._dropped.discard(key)

    def _taken(self, event: Taken) -> None:
        for key in event.answered:
            self.files[self._home[key]].open.discard(key)
            self._failed.pop(key, None)
            self._dropped.discard(key)
        self._lines.update(event.lines)
        for kind, keys in event.failed.items():
            self._fail(keys, kind)

    def _drop(self, stage: str) -> None:
        """The command that is recorded now may ask other questions, so these are not counted as to be written again."""
        for file in [f for f in self.files.values() if f.stage == stage and f.unsent]:
            self._dropped |= file.open
            file.open.clear()
            file.ended = "abandoned"

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


def _check(event: Written, manifest: Path) -> None:
    """A folder from elsewhere names no file that would be sent or removed in place of its own, and no odd address."""
    if _NAME.fullmatch(event.file) is None:
        raise RunError(
            f"{manifest}: speaks of a file {one_line(repr(event.file))}, which is none of a batch job; delete "
            f"{manifest.parent} and give the recorded commands with --batch again"
        )
    checked_url(event.base_url, f"{manifest}: base_url")
