"""The Files and Batches API of an endpoint, through the openai package: the one place that talks HTTP."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autointerp.batch.lines import PATH, without_keys
from autointerp.errors import EndpointError, RunError, one_line
from autointerp.lmm.address import OPENAI, checked_url, forms
from autointerp.lmm.keys import api_key
from autointerp.lmm.route import headers_for, proxy_for, trusted_certificates

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai.types import Batch

ENDED = ("completed", "failed", "expired", "cancelled")
"""States that a batch never leaves."""
_MOST_LISTED = 1000
_MAX_MESSAGE = 300
_RETRIES = 3
_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further attempt to start a batch."""
_TIMEOUT = 600.0
"""Seconds; a file of 200 MB is sent in one call."""
_NO_API = (404, 405, 501)
_INSTEAD = (
    "answer the files with `vllm run-batch -i FILE -o OUT --model M` or the like, then "
    "`autointerp batch collect RUN OUT`; `submit --files-only` writes them without sending"
)
_KEPT = (
    *("accept", "accept-encoding", "connection", "content-length"),
    *("content-type", "host", "idempotency-key", "transfer-encoding"),
)
"""Headers that the openai package may set; others it takes from OPENAI_CUSTOM_HEADERS, or tells of this machine."""


class RemoteBatch(NamedTuple):
    """What the endpoint says of a batch: how far it is, its result and error files, and why it failed as a whole."""

    status: str
    progress: str
    results: tuple[str, ...]
    problem: str


class GoneError(EndpointError):
    """The endpoint does not know what it once had."""


class BatchApi:
    """One endpoint, to be closed at the end; every method raises EndpointError where it cannot be had.

    Args:
        base_url: of the server; where it does not end in /v1 and has no such API, /v1 is tried beneath it. None is
            OpenAI itself.
        sleep: waits so many seconds.

    Raises:
        SettingsError: there is no key, or an address or a proxy cannot be used.
    """

    def __init__(self, base_url: str | None, sleep: Callable[[float], None] = time.sleep) -> None:
        import openai

        self._sleep = sleep
        self._url = checked_url(base_url) or OPENAI
        self._forms = forms(self._url)
        self._lists = True
        key = api_key(self._url)
        http = _http_client(self._url, key)
        self._client: openai.OpenAI = openai.OpenAI(
            api_key=key, base_url=self._url, max_retries=_RETRIES, timeout=_TIMEOUT, http_client=http
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def upload(self, path: Path) -> str:
        """Sends a file of requests; gives its id."""
        with self._errors():
            return _text(self._client.files.create(file=path, purpose="batch").id)

    def start(self, upload: str, name: str) -> str:
        """Starts the batch of an uploaded file, or finds the one that was started before a kill; gives its id."""
        client = self._client.with_options(max_retries=0)
        for pause in (*_PAUSES, None):
            if (there := self.started(upload)) is not None:
                return there
            try:
                with self._errors():
                    made = client.batches.create(
                        input_file_id=upload, endpoint=PATH, completion_window="24h", metadata={"autointerp": name}
                    )
                    return _text(made.id)
            except EndpointError as e:
                # It may have been started and the reply lost: before another attempt the list is looked at again.
                if pause is None or not self._lists or not _may_pass(e.__cause__):
                    raise
                self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def started(self, upload: str) -> str | None:
        """The batch of an uploaded file, if the endpoint lists one."""
        import openai

        try:
            with self._errors():
                for number, batch in enumerate(self._client.batches.list(limit=100)):
                    if batch.input_file_id == upload:
                        return _text(batch.id)
                    if number >= _MOST_LISTED:
                        break
        except EndpointError as e:
            if not isinstance(e.__cause__, openai.APIStatusError):
                raise
            self._lists = False  # starting says what else is wrong
        return None

    def look(self, batch: str) -> RemoteBatch:
        """How far a batch is; raises GoneError where the endpoint does not know it any more."""
        with self._errors(f"batch {batch}"):
            return _remote(self._client.batches.retrieve(batch))

    def fetch(self, file: str, to: Path) -> None:
        """Writes a result file, once all of it has come; raises GoneError where it is not there any more.

        Raises:
            RunError: it cannot be written.
        """
        part = to.with_name(f"{to.name}.part")
        try:
            with self._errors(f"file {file}"), self._client.files.with_streaming_response.content(file) as response:
                response.stream_to_file(part)
            part.replace(to)
        except OSError as e:
            raise RunError(f"{to}: cannot be written ({e.strerror}); free space, then collect again") from e
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _errors(self, what: str = "") -> Iterator[None]:
        """Errors of the openai package as ours; `what` was there once, so that a 404 says that it is gone."""
        import httpx2
        import openai

        self._settle()
        try:
            yield
        except openai.APIStatusError as e:
            if what and e.status_code == 404:
                raise GoneError(f"{self._url} has no {one_line(what)} any more ({_clean(e.message)})") from e
            raise EndpointError(f"{self._url}{_refused(e)}") from e
        except (openai.APIConnectionError, httpx2.HTTPError) as e:
            raise EndpointError(f"{self._url}: {_clean(str(e.__cause__ or e))}; is it up and --base-url right?") from e
        except (openai.OpenAIError, ValueError, AttributeError) as e:
            # A server that has no such API may answer with a page of its own, status 200.
            raise EndpointError(f"{self._url} gives no usable answer to the Batch API; {_INSTEAD}") from e

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


def _http_client(base_url: str, key: str) -> "httpx2.Client":
    """A client that takes nothing of the environment that is not documented, and that follows no redirect."""
    import httpx2

    own = {name: value for name, value in headers_for(base_url, key).items() if name != "Accept"}
    proxy = proxy_for(base_url)

    def our_headers(request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name.lower() not in _KEPT]:
            del request.headers[name]
        request.headers.update(own)

    return httpx2.Client(
        verify=trusted_certificates() if base_url.startswith("https:") else True,
        trust_env=False,
        proxy=None if proxy is None else httpx2.Proxy(proxy.url, auth=proxy.login),
        follow_redirects=False,
        event_hooks={"request": [our_headers]},
    )


def _refused(error: "openai.APIStatusError") -> str:
    """What a status means, to follow the address."""
    status, said = error.status_code, _clean(error.message)
    if 300 <= status < 400:
        # Neither the pictures nor the key, nor the question for results, go to a host that the user did not name.
        target = one_line(error.response.headers.get("Location", "nowhere").partition("?")[0])
        return (
            f" answers with a redirect (status {status}) to {target}, which is not followed; if that is where the "
            "questions should go, record the command anew with its address as --base-url"
        )
    if status in _NO_API:
        return f" has no Batch API, or not what was asked of it ({said}); {_INSTEAD}"
    if status in (401, 403):
        return f" refuses the API key ({said}); set AUTOINTERP_API_KEY or OPENAI_API_KEY"
    return f": the Batch API answered {status} ({said}); run the same command again to go on"


def _may_pass(error: BaseException | None) -> bool:
    """Whether the same call may succeed later, or has succeeded without our hearing of it."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or (error.status_code >= 500 and error.status_code != 501)
    return isinstance(error, openai.APIConnectionError)


def _remote(batch: "Batch") -> RemoteBatch:
    counts = (getattr(batch.request_counts, name, 0) for name in ("total", "completed", "failed"))
    total, done, failed = (n if isinstance(n, int) else 0 for n in counts)
    status, errors = _text(batch.status), (batch.errors.data if batch.errors is not None else None) or []
    progress = f"{status}, {done:,} of {total:,} answered{f', {failed:,} failed' if failed else ''}"
    results = tuple(_text(f) for f in (batch.output_file_id, batch.error_file_id) if f)
    return RemoteBatch(status, progress, results, _clean("; ".join(str(e.message or e.code or "") for e in errors[:3])))


def _text(value: object) -> str:
    # The openai package lets any value through.
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _clean(text: str) -> str:
    return one_line(without_keys(text))[:_MAX_MESSAGE]
