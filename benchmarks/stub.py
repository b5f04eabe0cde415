"""An endpoint that answers every request with the same usable reply after a fixed wait, in a process of its own.

It speaks as little HTTP as the benchmarks need and looks at no body, so that what is measured is the client.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

EXPLANATION = {
    "candidates": ["a red disc", "a round shape", "something warm"],
    "verdict": "one",
    "explanation": "a round red disc with a sharp edge on a plain ground",
    "concepts": ["a round red disc"],
    "lookalikes": "orange discs",
    "misfits": [],
}
VERDICTS = {f"image_{i}": "yes" if i % 2 else "no" for i in range(1, 13)}
TOKENS = {"prompt_tokens": 1200, "completion_tokens": 60, "total_tokens": 1260}
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def answer(reply: str | None = None) -> bytes:
    """A whole HTTP response; without a reply of its own usable as an explanation and as verdicts on up to 12 images."""
    message = {"role": "assistant", "content": reply or json.dumps(EXPLANATION | VERDICTS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "stub", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice]}
    content = json.dumps(body | {"usage": TOKENS}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(content),
        content,
    )


class Connection(asyncio.BufferedProtocol):
    """Counts a request's bytes into one buffer, again and again, and answers when all are there."""

    def __init__(self, wait: float, reply: bytes) -> None:
        self._wait = wait
        self._reply = reply
        self._buffer = memoryview(bytearray(1 << 17))
        self._head = b""
        self._left: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keeps the transport to answer on."""
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """The one buffer."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Takes note of what came; clients send no request before the last is answered."""
        if self._left is None:
            self._head += bytes(self._buffer[:nbytes])
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            length = _LENGTH.search(head)
            self._left = (int(length[1]) if length else 0) - len(rest)
            self._head = b""
        else:
            self._left -= nbytes
        if self._left <= 0:
            self._left = None
            asyncio.get_running_loop().call_later(self._wait, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._reply)


async def serve(wait: float, reply: str | None) -> None:
    """Prints the port, then serves until the process is ended."""
    response = answer(reply)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(wait, response), "127.0.0.1", 0, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running(wait: float, reply: str | None = None) -> Iterator[str]:
    """The base URL of a stub that answers after `wait` seconds, with a reply of its own, in a process of its own."""
    command = [sys.executable, __file__, "--wait", str(wait), *(["--reply", reply] if reply else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wait", type=float, default=0.2, help="seconds from a request's last byte to its answer")
    parser.add_argument("--reply", help="the text that every question is answered with")
    options = parser.parse_args()
    uvloop.run(serve(options.wait, options.reply))


if __name__ == "__main__":
    main()
