"""A stand-in endpoint: pictures of prompts in the shape of OpenAI's Images API, and a judge that knows each scene."""

import base64
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from autointerp.synthetic.concepts import Concept, likeness
from autointerp.synthetic.scenes import Scenes
from benchmarks.truth.generation.painter import WAYS, Painter, chance

Floats = npt.NDArray[np.float32]

ERRS: Mapping[str, tuple[float, float, float]] = {
    "knows": (0.0, 0.0, 0.0),
    "errs": (0.15, 0.05, 0.05),
    "errs often": (0.3, 0.15, 0.15),
    "reads loosely": (0.05, 0.4, 0.02),
}
"""Judges by name: the share of fitting pictures that each denies, and that it says yes to of those that come near the
text and of all others."""
NEAR = 0.5
"""The likeness to a text from which a scene comes near it."""
THUMB = 16
"""Pixels of a thumbnail's side, by which the judge knows a scene again."""
BLOCKED = {
    "message": "Your request was rejected by the safety system.",
    "type": "image_generation_user_error",
    "code": "moderation_blocked",
}


class Judge:
    """Says of pictures of a population whether a text holds of them."""

    def __init__(self, scenes: Scenes, pictures: Sequence[Image.Image], concepts: Mapping[str, Concept]) -> None:
        self._known = np.stack([_thumbnail(picture) for picture in pictures])
        self._likeness = {text: likeness(concept, scenes) for text, concept in concepts.items()}

    def reply(self, model: str, asked: str, pictures: Sequence[bytes]) -> str:
        """Answers the judging prompt about these JPEGs, in their order."""
        found = re.search(r"^Description: (.*)$", asked, re.MULTILINE)
        assert found is not None, asked
        return json.dumps({f"image_{i}": self._says(model, found[1], one) for i, one in enumerate(pictures, 1)})

    def _says(self, model: str, text: str, jpeg: bytes) -> str:
        seen = _thumbnail(Image.open(BytesIO(jpeg)))
        scene = int(np.square(self._known - seen).sum(axis=1).argmin())
        near, (misses, false_near, false_far) = self._likeness[text][scene], ERRS[model]
        yes = 1 - misses if near == 1 else false_near if near >= NEAR else false_far
        return "yes" if chance("judge", text, scene).random() < yes else "no"


def _thumbnail(picture: Image.Image) -> Floats:
    small = picture.convert("RGB").resize((THUMB, THUMB), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel()


class Endpoint(ThreadingHTTPServer):
    """Serves until it is shut down."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, painter: Painter, judge: Judge) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.painter, self.judge = painter, judge
        self.prompts: dict[str, set[str]] = {}
        """Prompts that came, by the text that they are about."""
        self._came = Counter[str]()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Returns the base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def pictures(self, asked: Mapping[str, object]) -> tuple[int, Mapping[str, object]]:
        """Answers a request for pictures: status and body."""
        way, prompt = str(asked["model"]), str(asked["prompt"])
        assert way in WAYS, way
        n, body = int(str(asked.get("n", 1))), json.dumps(asked, sort_keys=True)
        with self._lock:
            self.prompts.setdefault(self.painter.read(prompt)[0], set()).add(prompt)
            first = self._came[body]
            self._came[body] += n
        if self.painter.refuses(way, prompt):
            return 400, {"error": BLOCKED}
        numbers = [chance(body, first + i).randrange(2**31) for i in range(n)]
        made = [{"b64_json": _png(self.painter.paint(way, prompt, number))} for number in numbers]
        return 200, {"created": 0, "data": made}

    def verdicts(self, asked: Mapping[str, object]) -> tuple[int, Mapping[str, object]]:
        """Answers a question to the judge: status and body."""
        messages = asked["messages"]
        assert isinstance(messages, list)
        parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
        words = "\n".join(part["text"] for part in parts if part["type"] == "text")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        reply = self.judge.reply(str(asked["model"]), words, [base64.b64decode(u.partition(",")[2]) for u in urls])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
        return 200, body | {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        of_pictures = self.path.endswith("/images/generations")
        status, body = self.server.pictures(asked) if of_pictures else self.server.verdicts(asked)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _png(image: Image.Image) -> str:
    target = BytesIO()
    image.save(target, "PNG", compress_level=1)
    return base64.b64encode(target.getvalue()).decode()


@contextmanager
def serving(painter: Painter, judge: Judge) -> Iterator[Endpoint]:
    """Serves in a thread of this process."""
    endpoint = Endpoint(painter, judge)
    thread = threading.Thread(target=endpoint.serve_forever, name="stand-in")
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()
