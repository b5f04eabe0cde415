"""The Files and Batches API of an endpoint, through the openai package: the one place that talks HTTP."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from autointerp.batch.endpoints import CHAT, Endpoint
from autointerp.batch.lines import readable, without_keys
from autointerp.errors import EndpointError, RunError, one_line
from autointerp.lmm.address import OPENAI, checked_url, forms
from autointerp.lmm.response import retry_after
from autointerp.lmm.route import (
    IMAGE_KEY_VARIABLES,
    KEY_VARIABLES,
    api_key,
    headers_for,
    proxy_for,
    trusted_certificates,
)

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai.pagination import SyncCursorPage
    from openai.types import Batch

ENDED = ("completed", "failed", "expired", "cancelled")
"""States that a batch never leaves."""
_MOST_LISTED = 1001
_MAX_MESSAGE = 300
PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further attempt at a call that failed, or whose reply broke off or was none of this API."""
_LONGEST_PAUSE = 60.0
"""Seconds that an endpoint may ask to wait before the next attempt."""
_TIMEOUT = 600.0
"""Seconds; a file of 200 MB is sent in one call."""
_NO_API = (404, 405, 501)
_NO_PICTURES = (400, 422)
"""Where a server has batch jobs of other questions."""
_INSTEAD = (
    "answer the files with `vllm run-batch -i FILE -o OUT --model M` or the like, then "
    "`autointerp batch collect RUN OUT`; `submit --files-only` writes them without sending"
)
_AT_ONCE = "give the recorded command without --batch, which asks for pictures at once"
_KEPT = (
    *("accept", "accept-encoding", "connection", "content-length"),
    *("content-type", "host", "idempotency-key", "transfer-encoding"),
)
"""Headers that the openai package may set; others it takes from OPENAI_CUSTOM_HEADERS, or tells of this machine."""


T = TypeVar("T")


class RemoteBatch(NamedTuple):
    """What the endpoint says of a batch: how far it is, its result and error files, and why it failed as a whole."""

    status: str
    progress: str
    results: Mapping[str, int]
    """Lines that it says each file has, by id; 0 where it does not say."""
    problem: str


class GoneError(EndpointError):
    """The endpoint does not know what it once had."""


class BatchApi:
    """One endpoint, to be closed at the end; every method raises EndpointError where it cannot be had.

    Args:
        base_url: of the server; where it does not end in /v1 and has no such API, /v1 is tried beneath it. None is
            OpenAI itself.
        sleep: waits so many seconds.
        pictures: whether it is asked for pictures.

    Raises:
        SettingsError: there is no key, or an address or a proxy cannot be used.
    """

    def __init__(
        self, base_url: str | None, sleep: Callable[[float], None] = time.sleep, *, pictures: bool = False
    ) -> None:
        import openai

        self._sleep = sleep
        self._pictures = pictures
        self._url = checked_url(base_url) or OPENAI
        self._forms = forms(self._url)
        self._lists = True
        key = api_key(self._url, IMAGE_KEY_VARIABLES if pictures else KEY_VARIABLES)
        http = _http_client(self._url, key)
        self._client: openai.OpenAI = openai.OpenAI(
            api_key=key, base_url=self._url, max_retries=0, timeout=_TIMEOUT, http_client=http
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def upload(self, path: Path) -> str:
        """Sends a file of requests, under a name of its own by which it is found if the reply is lost; gives its id."""
        name = f"{path.stem}-{uuid.uuid4().hex}{path.suffix}"
        lost = False

        def send() -> str:
            nonlocal lost
            if lost and (there := self._uploaded(name)) is not None:
                return there
            lost = True
            with path.open("rb") as file:
                return _text(self._client.files.create(file=(name, file), purpose="batch").id)

        return self._tried(send)

    def _uploaded(self, name: str) -> str | None:
        import openai

        try:
            return _id_of(self._client.files.list(limit=100, order="desc"), lambda file: file.filename == name)
        except openai.APIStatusError as e:
            if _may_pass(e):
                raise
        return None

    def start(self, upload: str, name: str, endpoint: Endpoint = CHAT) -> str:
        """Starts the batch of an uploaded file, or finds the one that was started before a kill; gives its id."""

        def start() -> str:
            # It may have been started and the reply lost: before each attempt the list is looked at.
            if (there := self._listed(upload)) is not None:
                return there
            made = self._client.batches.create(
                input_file_id=upload, endpoint=endpoint, completion_window="24h", metadata={"autointerp": name}
            )
            return _text(made.id)

        return self._tried(start, again=lambda: self._lists)

    def started(self, upload: str) -> str | None:
        """The batch of an uploaded file, if the endpoint lists one."""
        return self._tried(lambda: self._listed(upload))

    def _listed(self, upload: str) -> str | None:
        import openai

        try:
            return _id_of(self._client.batches.list(limit=100), lambda batch: batch.input_file_id == upload)
        except openai.APIStatusError as e:
            if _may_pass(e) or 300 <= e.status_code < 400:
                raise
            self._lists = False  # starting says what else is wrong
        return None

    def look(self, batch: str) -> RemoteBatch:
        """How far a batch is; raises GoneError where the endpoint does not know it any more."""
        return self._tried(lambda: _remote(self._client.batches.retrieve(batch)), f"batch {batch}")

    def fetch(self, file: str, to: Path, lines: int = 0) -> None:
        """Writes a result file, once all of it has come; raises GoneError where it is not there any more.

        Args:
            file: its id.
            to: where it is written.
            lines: results that the endpoint says it holds.

        Raises:
            RunError: it cannot be written.
        """
        part = to.with_name(f"{to.name}.part")

        def get() -> None:
            with self._client.files.with_streaming_response.content(file) as response:
                response.stream_to_file(part)
            if not readable(part, lines):
                raise ValueError("no result stands in it")

        try:
            self._tried(get, f"file {file}")
            part.replace(to)
        except OSError as e:
            raise RunError(f"{to}: cannot be written ({e.strerror}); free space, then collect again") from e
        finally:
            part.unlink(missing_ok=True)

    def _tried(self, call: Callable[[], T], what: str = "", again: Callable[[], bool] = lambda: True) -> T:
        """What a call gives; one whose reply was lost, broke off or was none of this API is made a few times.

        Args:
            call: makes it.
            what: as for `_errors`.
            again: whether it may be made once more.
        """
        for pause in PAUSES:
            try:
                with self._errors(what):
                    return call()
            except EndpointError as e:
                if not again() or not _may_pass(e.__cause__):
                    raise
                self._sleep(max(pause, _asked_pause(e.__cause__)))
        with self._errors(what):
            return call()

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
            raise EndpointError(f"{self._url}{_refused(e, pictures=self._pictures)}") from e
        except (openai.APIConnectionError, httpx2.HTTPError) as e:
            raise EndpointError(
                f"{self._url}: {_clean(str(e.__cause__ or e))}; is it up and {self._option} right?"
            ) from e
        except (openai.OpenAIError, ValueError, AttributeError) as e:
            # A server that has no such API may answer with a page of its own, status 200.
            instead = _AT_ONCE if self._pictures else _INSTEAD
            raise EndpointError(f"{self._url} gives no usable answer to the Batch API; {instead}") from e

    @property
    def _option(self) -> str:
        return "--image-base-url" if self._pictures else "--base-url"

    def _settle(self) -> None:
        """Finds out at which of the server's addresses the API is; what else is wrong the next call meets, and says."""
        import openai

        if len(self._forms) == 1:
            return
        possible, self._forms = self._forms, (self._url,)
        for form in possible:
            self._client.base_url = form
            try:
                self._tried(lambda: self._client.batches.list(limit=1).data)
            except EndpointError as e:
                if isinstance(e.__cause__, openai.APIStatusError) and e.__cause__.status_code in _NO_API:
                    continue
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


def _refused(error: "openai.APIStatusError", *, pictures: bool) -> str:
    """What a status means, to follow the address."""
    status, said = error.status_code, _clean(error.message)
    if 300 <= status < 400:
        # Neither the pictures nor the key, nor the question for results, go to a host that the user did not name.
        target = one_line(error.response.headers.get("Location", "nowhere").partition("?")[0])
        return (
            f" answers with a redirect (status {status}) to {target}, which is not followed; if that is where the "
            f"questions should go, record the command anew with its address as --{'image-' if pictures else ''}base-url"
        )
    if pictures and (status in _NO_API or status in _NO_PICTURES):
        return f" takes no batch jobs of pictures, or not what was asked of it ({said}); {_AT_ONCE}"
    if status in _NO_API:
        return f" has no Batch API, or not what was asked of it ({said}); {_INSTEAD}"
    if status in (401, 403):
        names = (*(IMAGE_KEY_VARIABLES[:1] if pictures else ()), "AUTOINTERP_API_KEY or OPENAI_API_KEY")
        return f" refuses the API key ({said}); set {', '.join(names)}"
    return f": the Batch API answered {status} ({said}); run the same command again to go on"


def _may_pass(error: BaseException | None) -> bool:
    """Whether the same call may succeed later, or has succeeded without our hearing of it."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or (error.status_code >= 500 and error.status_code != 501)
    return error is not None


def _asked_pause(error: BaseException | None) -> float:
    import openai

    asked = retry_after(error.response.headers) if isinstance(error, openai.APIStatusError) else None
    return min(_LONGEST_PAUSE, asked or 0.0)


def _id_of(page: "SyncCursorPage[T]", wanted: Callable[[T], bool]) -> str | None:
    """The id of the first wanted one of those that an endpoint lists, of very many among the first."""
    found = next(filter(wanted, itertools.islice(_items(page), _MOST_LISTED)), None)
    return None if found is None else _text(getattr(found, "id", None))


def _items(page: "SyncCursorPage[T]") -> Iterator[T]:
    """What an endpoint lists, page by page; an error with status 200 would look like an empty list.

    Raises:
        ValueError: a page is no list.
    """
    while True:
        if not isinstance(page.data, list):
            raise ValueError("no list")
        yield from page.data
        if not page.has_next_page():
            return
        page = page.get_next_page()


def _remote(batch: "Batch") -> RemoteBatch:
    counts = (getattr(batch.request_counts, name, 0) for name in ("total", "completed", "failed"))
    total, done, failed = (n if isinstance(n, int) else 0 for n in counts)
    status, errors = _text(batch.status), (batch.errors.data if batch.errors is not None else None) or []
    progress = f"{status}, {done:,} of {total:,} answered{f', {failed:,} failed' if failed else ''}"
    results = {_text(f): n for f, n in ((batch.output_file_id, done), (batch.error_file_id, failed)) if f}
    return RemoteBatch(status, progress, results, _clean("; ".join(str(e.message or e.code or "") for e in errors[:3])))


def _text(value: object) -> str:
    # The openai package lets any value through.
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _clean(text: str) -> str:
    return one_line(without_keys(text))[:_MAX_MESSAGE]
