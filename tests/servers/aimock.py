"""Tells a running aimock what to answer, and reads what it was asked."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

Json = Mapping[str, object]

EXPLAINER = {"systemMessage": "careful visual analyst"}
"""What the explain prompt alone says."""
JUDGE = {"systemMessage": "check whether a description fits"}
"""What the judge prompt alone says."""

EXPLANATION: Json = {
    "candidates": ["a red circle"],
    "verdict": "one",
    "explanation": "a red circle on a plain ground",
    "concepts": ["a red circle"],
    "lookalikes": "",
    "misfits": [],
}
ALL_YES: Json = {f"image_{i}": "yes" for i in range(1, 13)}


def says(match: Json, reply: Json | str) -> Json:
    """A fixture: requests that match get this reply."""
    return {"match": match, "response": {"content": reply if isinstance(reply, str) else json.dumps(reply)}}


def in_turn(match: Json, *fates: Json) -> list[Json]:
    """Fixtures: the first request that matches gets the first fate, and so on."""
    return [{"match": {**match, "sequenceIndex": i}, **fate} for i, fate in enumerate(fates)]


def fault(rate: str) -> Json:
    """A fate: aimock's chaos of this name, for certain."""
    return {"response": {"content": "never sent"}, "chaos": {rate: 1}}


def status(code: int, message: str, **more: object) -> Json:
    """A fate: an error."""
    return {"response": {"error": {"message": message}, "status": code, **more}}


def reply(content: Json) -> Json:
    """A fate: an answer."""
    return {"response": {"content": json.dumps(content)}}


@dataclass(frozen=True)
class Entry:
    """A request as aimock wrote it down."""

    status: int
    """0 where it cut the connection."""
    at: float
    """Seconds."""
    body: Json


class Aimock:
    """A running server."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.url = f"{address}/v1"

    def answers(self, *fixtures: Json) -> None:
        """Forgets everything, then answers by these fixtures: the first that matches."""
        self._control("POST", "reset")
        self.adds(*fixtures)

    def adds(self, *fixtures: Json) -> None:
        """Answers by these fixtures as well, where none before them matches."""
        self._control("POST", "fixtures", {"fixtures": list(fixtures)})

    def chaos(self, **rates: float) -> None:
        """Every request goes wrong at these rates, from now on."""
        self._control("POST", "chaos", rates)

    def journal(self) -> list[Entry]:
        """Every request since `answers`, in order."""
        entries = cast("Sequence[Mapping[str, object]]", self._control("GET", "journal"))
        return [
            Entry(
                cast("Mapping[str, int]", e["response"])["status"],
                cast("float", e["timestamp"]) / 1000,
                cast("Json", e["body"]),
            )
            for e in entries
        ]

    def _control(self, method: str, path: str, body: object = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}/__aimock/{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)
