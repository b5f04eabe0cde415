"""What can go wrong with a file at a URL, whatever library says it, as two kinds of OSError."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from autointerp.errors import one_line

_ABSENT = (403, 404, 410)
"""HTTP's words for a file that is not there: stores whose files one may read but not list say 403."""
_WEB_ERRORS = (("aiohttp", "ClientError"),)
_STORE_ERRORS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)
"""What the libraries below fsspec raise besides OSError; looked up only where they are loaded."""


class RemoteError(OSError):
    """A file at a URL cannot be read; the message is one line without any key."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what the libraries raise into FileNotFoundError or a RemoteError of one line."""
    try:
        yield
    except FileNotFoundError as error:
        # fsspec says so of every fault of a web server.
        cause = error.__cause__
        if cause is None or isinstance(cause, FileNotFoundError) or status_of(cause) in _ABSENT:
            raise FileNotFoundError("there is no such file") from None
        if not isinstance(cause, (OSError, *_loaded(_WEB_ERRORS))):
            raise FileNotFoundError("there is no such file") from error
        raise RemoteError(text_of(cause)) from cause
    except (OSError, ValueError, *_loaded((*_WEB_ERRORS, *_STORE_ERRORS))) as error:
        raise RemoteError(text_of(error)) from error


def _loaded(names: tuple[tuple[str, str], ...]) -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[m], name) for m, name in names if hasattr(sys.modules.get(m), name))


def status_of(error: BaseException | None) -> int | None:
    """The answer of a web server that an error tells of; None where it tells of none."""
    return getattr(error, "status", None)


def text_of(error: BaseException) -> str:
    """Words for an error; of a web server's, no address, since one that it sent us on to may be signed."""
    if (status := status_of(error)) is not None:
        return f"HTTP {status} {getattr(error, 'message', '')}".strip()
    said = one_line(str(error)) or type(error).__name__
    return re.sub(r"\?\S*", "?…", said)[:200]
