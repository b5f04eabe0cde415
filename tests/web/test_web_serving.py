"""Pages are served until the program is asked to end, also where a loop is running, as in a notebook."""

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from autointerp.web import serving
from autointerp.web.guard import Guard, guarded

DUMP = Path(__file__).parents[2] / "autointerp" / "demo" / "dump"
PATIENCE = 60


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_explorer_that_is_asked_to_end_has_done_its_work(tmp_path: Path, sent: signal.Signals):
    command = [sys.executable, "-m", "autointerp", "view", str(DUMP), "--port", "0", "--cache", str(tmp_path)]
    # In a process of its own: a signal is a matter of the whole process.
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next(line.split(" (")[0] for line in process.stderr if line.startswith("http://"))
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                assert answer.status == 200
            process.send_signal(sent)

            assert process.wait(PATIENCE) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


async def _hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def test_it_serves_beside_a_running_loop(monkeypatch: pytest.MonkeyPatch):
    guard, heard = Guard.at("127.0.0.1"), []
    server = serving.server_of(guarded([Route("/", _hello)], guard))
    monkeypatch.setattr(serving, "server_of", lambda app: server)

    def ask(said: str) -> None:
        try:
            heard.append(urllib.request.urlopen(said.split()[0], timeout=PATIENCE).read().decode())
        finally:
            server.should_exit = True

    async def cell() -> None:
        with serving.listening("127.0.0.1", 0, 0) as there:
            asking = threading.Thread(target=ask, args=(serving.address_of(there, guard),))
            asking.start()
            serving.serve(guarded([], guard), there, guard, opens=False, say=lambda said: None)
            asking.join()

    asyncio.run(cell())

    assert heard == ["hello"]
