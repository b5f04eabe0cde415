"""Serves pages at an address of this machine until the program is asked to end."""

import asyncio
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from autointerp.errors import SettingsError
from autointerp.web.guard import Guard

BACKLOG = 128
AWAKE = 0.2
"""Seconds after which whoever waits for the end looks for a signal."""
PATIENCE = 2
"""Seconds that a page which is still being sent is waited for at the end."""


@contextmanager
def listening(host: str, port: int | None, usual: int) -> Iterator[socket.socket]:
    """Listens at an address while the context lasts.

    Args:
        host: a name or an address of this machine.
        port: where None, `usual`, or a free one where that is taken.
        usual: the port that people know.

    Raises:
        SettingsError: there is no such address, or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise SettingsError(f"--host {host}: no address of this machine ({error.strerror or error})") from error
    with socket.socket(family, socket.SOCK_STREAM) as there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            _bind(there, host, port, usual)
        except OSError as error:
            what = f"--host {host}" if port is None else f"--port {port}"
            raise SettingsError(f"{what}: cannot listen there ({error.strerror or error}); name another") from error
        there.listen(BACKLOG)
        yield there


def _bind(there: socket.socket, host: str, port: int | None, usual: int) -> None:
    try:
        there.bind((host, usual if port is None else port))
    except OSError:
        if port is not None:
            raise
        there.bind((host, 0))


def address_of(there: socket.socket, guard: Guard) -> str:
    """The address to open in a browser, with the token where one is needed."""
    port = there.getsockname()[1]
    host = f"[{guard.host}]" if ":" in guard.host else guard.host
    if guard.host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://{host}:{port}/" + (f"?token={guard.token}" if guard.token else "")


def server_of(app: Starlette) -> uvicorn.Server:
    """A server of an application that writes no log of its own."""
    return uvicorn.Server(_config(app))


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )


class _Beside(uvicorn.Server):
    """A server in the loop of other work, which heeds the signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the work beside it."""
        yield


@asynccontextmanager
async def serving(app: Starlette, there: socket.socket) -> AsyncIterator[None]:
    """Serves an application in the running loop while the context lasts.

    Args:
        app: what is served.
        there: listens.
    """
    server = _Beside(_config(app))
    work = asyncio.create_task(server.serve(sockets=[there]))
    try:
        yield
    finally:
        server.should_exit = True
        await work


def serve(app: Starlette, there: socket.socket, guard: Guard, *, opens: bool, say: Callable[[str], None]) -> None:
    """Serves an application until Ctrl-C or SIGTERM.

    Args:
        app: what is served.
        there: listens.
        guard: of the application.
        opens: whether a browser is opened.
        say: is told the address.
    """
    address = address_of(there, guard)
    say(f"{address} (Ctrl-C ends it)")
    if opens:
        webbrowser.open(address)
    server = server_of(app)
    # In a thread of its own, since a notebook has a loop in this one.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [there]}, name="autointerp-pages")
    thread.start()
    try:
        # Another thread may be given the signal, which would not wake one that waits without an end.
        while thread.is_alive():
            thread.join(AWAKE)
    except KeyboardInterrupt:
        server.should_exit = True
        thread.join()
