"""Files of requests on disk: written whole or not at all, and rewritten without what was answered meanwhile."""

import os
from typing import BinaryIO

from autointerp.batch.events import Ended, Written
from autointerp.batch.lines import key_of
from autointerp.batch.manifest import PART, BatchFile, Book
from autointerp.errors import RunError
from autointerp.lmm.image_tokens import TokenEstimate


class RequestFile:
    """A file of requests being written: it has its name only when it is whole and the manifest knows it.

    Args:
        book: of the folder.
        stage: that asks.
        model: that is asked.
        base_url: of the endpoint that is to answer.

    Raises:
        RunError: it cannot be written.
    """

    def __init__(self, book: Book, stage: str, model: str, base_url: str | None) -> None:
        self._book = book
        self._stage = stage
        self._model = model
        self._base_url = base_url
        self._name = book.next_name()
        self._part = book.folder / f"{self._name}{PART}"
        self._keys: dict[str, list[str]] = {}
        self._lines = self._bytes = self._input = self._output = 0
        try:
            self._file: BinaryIO = self._part.open("wb")
        except OSError as e:
            raise self._error(e) from e

    def has_room(self, size: int, most_lines: int, most_bytes: int) -> bool:
        """Whether a line of so many bytes goes in."""
        return self._lines < most_lines and self._bytes + size <= most_bytes

    def append(self, key: str, shape: str, line: bytes, expected: TokenEstimate) -> None:
        """Writes one line, which is expected to take so many tokens.

        Raises:
            RunError: it cannot be written.
        """
        try:
            self._file.write(line)
        except OSError as e:
            raise self._error(e) from e
        self._keys.setdefault(shape, []).append(key)
        self._lines += 1
        self._bytes += len(line)
        self._input += expected.input_tokens
        self._output += expected.output_tokens

    def finish(self) -> str:
        """Writes through, enters the file into the manifest, then names it; gives the name.

        Raises:
            RunError: it cannot be written.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as e:
            raise self._error(e) from e
        questions = {shape: tuple(keys) for shape, keys in self._keys.items()}
        self._book.add(
            Written(
                file=self._name,
                stage=self._stage,
                model=self._model,
                base_url=self._base_url,
                lines=self._lines,
                bytes=self._bytes,
                questions=questions,
                input_tokens=self._input,
                output_tokens=self._output,
            )
        )
        self._part.replace(self._part.with_name(self._name))
        return self._name

    def _error(self, error: OSError) -> RunError:
        return RunError(f"{self._part}: cannot be written ({error.strerror}); free space, then submit again")


def abandon(book: Book, file: BatchFile, why: str) -> None:
    """Gives up a file that was not sent; what is open in it is written again."""
    book.add(Ended(file=file.name, status=why))
    (book.folder / file.name).unlink(missing_ok=True)


def without_answered(book: Book, file: BatchFile) -> BatchFile:
    """A file that holds only the open questions: this one, or a new one in its place.

    Raises:
        RunError: it cannot be written.
    """
    if len(file.open) == len(file.shapes):
        return file
    left = set(file.open)
    share = TokenEstimate(-(-file.input_tokens // file.lines), -(-file.output_tokens // file.lines))
    new = RequestFile(book, file.stage, file.model, file.base_url)
    with (book.folder / file.name).open("rb") as lines:
        for line in lines:
            if (key := key_of(line)) in left:
                new.append(key, file.shapes[key], line, share)
    name = new.finish()
    abandon(book, file, "rewritten")
    return book.files[name]
