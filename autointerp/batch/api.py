"""The Files and Batches API of an endpoint: sends files of requests, asks how far they are, fetches the results."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar

from autointerp.batch.http import http_client
from autointerp.batch.lines import without_keys
from autointerp.errors import EndpointError, one_line
from autointerp.lmm.address import OPENAI, checked_url, forms
from autointerp.lmm.keys import api_key

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

T = TypeVar("T")

WINDOW: Literal["24h"] = "24h"
"""The only one that OpenAI's Batch API has."""
ENDED = ("completed", "failed", "expired", "cancelled")
"""States that a batch never leaves."""
ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_MOST_LISTED = 1000
_MAX_MESSAGE = 300
_ATTEMPTS = 4
_PAUSE = 0.5
"""Seconds before the second attempt to start a batch; twice as many before each further one."""
_TIMEOUT = 600.0
"""Seconds; a file of 200 MB is sent in one call."""
_NO_API = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """What the endpoint says of a batch."""

    id: str
    status: str
    total: int
    done: int
    failed: int
    results: tuple[str, ...]
    """Ids of its result and error files, as far as there are any."""
    problem: str
    """Why it failed as a whole; empty where it did not."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED


class GoneError(EndpointError):
    """The endpoint does not know what it once had."""


class BatchApi:
    """One endpoint; use as a context manager.

    Args:
        base_url: of the server; where it does not end in /v1 and has no such API, /v1 is tried beneath it. None is
            OpenAI itself.
        sleep: waits so many seconds.

    Raises:
        SettingsError: no key, or an address or a proxy that cannot be used.
    """

    def __init__(self, base_url: str | None, sleep: Callable[[float], None] = time.sleep) -> None:
        import openai

        self._sleep = sleep
        self._url = checked_url(base_url) or OPENAI
        self._forms = forms(self._url)
        key = api_key(self._url)
        self._client: openai.OpenAI = openai.OpenAI(
            api_key=key,
            base_url=self._url,
            max_retries=_ATTEMPTS - 1,
            timeout=_TIMEOUT,
            http_client=http_client(self._url, key),
        )

    def __enter__(self) -> "BatchApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def upload(self, path: Path) -> str:
        """Sends a file of requests; gives its id.

        Raises:
            EndpointError: the endpoint has no Files API, refuses the file or is not there.
        """
        return self._call(lambda: self._client.files.create(file=path, purpose="batch")).id

    def start(self, upload: str, path: str) -> str:
        """Starts the batch of an uploaded file, or finds the one that was started before a kill; gives its id.

        Raises:
            EndpointError: the endpoint has no Batch API, refuses the batch or is not there.
        """
        client = self._client.with_options(max_retries=0)
        for attempt in range(1, _ATTEMPTS + 1):
            there, listed = self._find(upload)
            if there is not None:
                return there
            try:
                return self._call(lambda: _create(client, upload, path))
            except EndpointError as e:
                if not listed or attempt == _ATTEMPTS or not _passing(e.__cause__):
                    raise
                # It may have been started and the reply lost: before another attempt the list is looked at again.
                self._sleep(_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def started(self, upload: str) -> str | None:
        """The batch of an uploaded file, if the endpoint lists one.

        Raises:
            EndpointError: the endpoint is not there.
        """
        return self._find(upload)[0]

    def _find(self, upload: str) -> tuple[str | None, bool]:
        """The batch of an uploaded file, and whether the endpoint lists batches at all."""
        import openai

        try:
            with self._errors():
                for number, batch in enumerate(self._client.batches.list(limit=100)):
                    if batch.input_file_id == upload:
                        return batch.id, True
                    if number >= _MOST_LISTED:
                        break
        except EndpointError as e:
            if isinstance(e.__cause__, openai.APIStatusError):
                return None, False  # starting says what else is wrong
            raise
        return None, True

    def look(self, batch: str) -> RemoteBatch:
        """How far a batch is.

        Raises:
            GoneError: the endpoint does not know it any more.
            EndpointError: the endpoint does not say.
        """
        with self._gone(f"batch {batch}"):
            return _remote(self._call(lambda: self._client.batches.retrieve(batch)))

    def fetch(self, file: str, to: Path) -> None:
        """Writes a result file.

        Raises:
            GoneError: the endpoint does not have it any more.
            EndpointError: it cannot be had.
        """
        with (
            self._gone(f"file {file}"),
            self._errors(),
            self._client.files.with_streaming_response.content(file) as response,
        ):
            response.stream_to_file(to)

    @contextmanager
    def _gone(self, what: str) -> Iterator[None]:
        import openai

        try:
            yield
        except EndpointError as e:
            if isinstance(e.__cause__, openai.NotFoundError):
                raise GoneError(f"{self._where} has no {what} any more ({self._clean(e.__cause__.message)})") from e
            raise

    def _call(self, call: Callable[[], T]) -> T:
        with self._errors():
            return call()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import openai

        self._settle()
        try:
            yield
        except openai.APIStatusError as e:
            raise EndpointError(self._refused(e.status_code, e.message)) from e
        except openai.APIConnectionError as e:
            raise EndpointError(
                f"{self._where}: {self._clean(str(e.__cause__ or e))}; is it up and --base-url right?"
            ) from e
        except (openai.OpenAIError, ValueError, AttributeError) as e:
            # A server that has no such API may answer with a page of its own, status 200.
            raise EndpointError(f"{self._where} gives no usable answer to the Batch API; {_INSTEAD}") from e

    def _settle(self) -> None:
        """Finds out at which of the server's addresses the API is; what else is wrong the next call meets, and says."""
        import openai

        if len(self._forms) == 1:
            return
        possible, self._forms = self._forms, (self._url,)
        for form in possible:
            self._client.base_url = form
            try:
                self._client.batches.list(limit=1)
            except openai.APIStatusError as e:
                if e.status_code in _NO_API:
                    continue
            except (openai.OpenAIError, ValueError, AttributeError):
                pass
            return
        self._client.base_url = self._url

    @property
    def _where(self) -> str:
        return self._url

    def _refused(self, status: int, message: str) -> str:
        said = self._clean(message)
        if status in _NO_API:
            return f"{self._where} has no Batch API, or not what was asked of it ({said}); {_INSTEAD}"
        if status in (401, 403):
            return f"{self._where} refuses the API key ({said}); set AUTOINTERP_API_KEY or OPENAI_API_KEY"
        return f"{self._where}: the Batch API answered {status} ({said}); run the same command again to go on"

    def _clean(self, text: str) -> str:
        return one_line(without_keys(text))[:_MAX_MESSAGE]


_INSTEAD = (
    "answer the files with `vllm run-batch -i FILE -o OUT --model M` or the like, then "
    "`autointerp batch collect RUN OUT`; `submit --files-only` writes them without sending"
)


def _create(client: "openai.OpenAI", upload: str, path: str) -> str:
    return client.batches.create(
        input_file_id=upload, endpoint=ENDPOINT, completion_window=WINDOW, metadata={"autointerp": path}
    ).id


def _passing(error: BaseException | None) -> bool:
    """Whether the same call may succeed later, or has succeeded without our hearing of it."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or (error.status_code >= 500 and error.status_code != 501)
    return isinstance(error, openai.APIConnectionError)


def _remote(batch: "Batch") -> RemoteBatch:
    counts = batch.request_counts
    errors = batch.errors.data if batch.errors is not None else None
    said = "; ".join(one_line(without_keys(e.message or e.code or "")) for e in (errors or [])[:3])
    return RemoteBatch(
        id=batch.id,
        status=batch.status,
        total=counts.total if counts else 0,
        done=counts.completed if counts else 0,
        failed=counts.failed if counts else 0,
        results=tuple(f for f in (batch.output_file_id, batch.error_file_id) if f),
        problem=said[:_MAX_MESSAGE],
    )
