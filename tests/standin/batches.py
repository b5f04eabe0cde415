"""A Files and Batches API over the stand-in's mind: batches end at the second look, results may be spoilt."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web
from standin.offline import ENDPOINTS, Line, answered
from standin.served import MOST, Served

Spoil = Callable[[int, Sequence[Line]], tuple[str, Sequence[Line], Sequence[Line]]]
"""Number of the batch and its requests -> status, result lines, error lines."""


def all_answered(number: int, requests: Sequence[Line]) -> tuple[str, Sequence[Line], Sequence[Line]]:
    """Completed, with an answer to each."""
    return "completed", [answered(line) for line in requests], []


@dataclass
class BatchServer(Served):
    """Use as a context manager."""

    spoil: Spoil = all_answered
    key: str | None = None
    """If set, other keys get a 401 that echoes the one that came."""
    endpoints: Sequence[str] = ENDPOINTS
    """What batches may be for."""
    looks: int = 2
    """Retrievals until a batch has ended."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The file names of uploads, by id."""
    batches: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    on_step: Callable[[str], None] | None = None
    """Told `upload`, `start`, `look` or `fetch` when the request has been answered for."""

    @property
    def questions(self) -> list[str]:
        """The custom_ids of all batches that were started, in order."""
        inputs = [str(b["input_file_id"]) for b in self.batches.values()]
        return [str(json.loads(line)["custom_id"]) for i in inputs for line in self.uploads[i].splitlines()]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST, middlewares=[self._keyed])
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files", self._files)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._start)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._look)
        return app

    @web.middleware
    async def _keyed(
        self, request: web.Request, handler: Callable[[web.Request], web.StreamResponse]
    ) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            return web.json_response({"error": {"message": f"Incorrect API key provided: {given}."}}, status=401)
        return await handler(request)  # pyright: ignore[reportGeneralTypeIssues]

    def _did(self, step: str) -> None:
        if self.on_step is not None:
            self.on_step(step)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        file = form["file"]
        assert isinstance(file, web.FileField)
        name = f"file-{sum(i.startswith('file-') for i in self.uploads) + 1}"
        self.uploads[name], self.names[name] = file.file.read(), file.filename
        self._did("upload")
        return web.json_response(
            {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": file.filename, "purpose": "batch"}
        )

    async def _files(self, request: web.Request) -> web.Response:
        listed = [{"id": i, "object": "file", "filename": name} for i, name in self.names.items()]
        return web.json_response({"object": "list", "data": listed[::-1], "has_more": False})

    async def _start(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["completion_window"] == "24h"
        if asked["endpoint"] not in self.endpoints:
            said = f"Invalid value: '{asked['endpoint']}'. Supported values are: {', '.join(self.endpoints)}."
            return web.json_response({"error": {"message": said, "param": "endpoint"}}, status=400)
        lines = self.uploads[asked["input_file_id"]].splitlines()
        assert {json.loads(line)["url"] for line in lines} == {asked["endpoint"]}
        name = f"batch-{len(self.batches) + 1}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "created_at": 1,
        }
        self._did("start")
        return web.json_response(self.batches[name])

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": list(self.batches.values())[::-1], "has_more": False})

    async def _look(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        name = str(batch["id"])
        self.seen[name] = self.seen.get(name, 0) + 1
        if self.seen[name] < self.looks:
            batch["status"] = "in_progress"
        elif "request_counts" not in batch:
            self._end(batch)
        self._did("look")
        return web.json_response(batch)

    def _end(self, batch: dict[str, object]) -> None:
        requests = [json.loads(line) for line in self.uploads[str(batch["input_file_id"])].splitlines()]
        status, results, errors = self.spoil(int(str(batch["id"]).removeprefix("batch-")), requests)
        batch["status"] = status
        batch["request_counts"] = {"total": len(requests), "completed": len(results), "failed": len(errors)}
        for kind, lines in (("output", results), ("error", errors)):
            if lines:
                name = f"{batch['id']}-{kind}"
                self.uploads[name] = "".join(json.dumps(line) + "\n" for line in lines).encode()
                batch[f"{kind}_file_id"] = name

    async def _content(self, request: web.Request) -> web.Response:
        self._did("fetch")
        return web.Response(body=self.uploads[request.match_info["id"]], content_type="application/octet-stream")
