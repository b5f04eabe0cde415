"""What a request asks of a person: its words, its pictures tile by tile, and the fields of its reply."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from autointerp.errors import AutointerpError
from autointerp.images.picture import Picture
from autointerp.images.render import picture_size, sheet_cell, tile_size
from autointerp.lmm.human.journal import Given, Value
from autointerp.lmm.request import ImagePart, Request, TextPart

MOST_TEXT = 600
"""Characters of a text that a person writes."""
SIDES = ("x0", "y0", "x1", "y1")
FOUND = "found"
_MOST = 1000
"""Of a box, thousandths."""
_OF_IMAGE = re.compile(r"image_(\d+)")
_FOR_PROGRAMS = re.compile(r"Answer with one JSON object|The picture below is a contact sheet|Image \d+:$")
"""How lines of a prompt begin that a person has no use for."""

HEADINGS: Mapping[str, str] = {
    "judge": "Does the description fit?",
    "intruder": "Which image is the odd one?",
    "choice": "Which image does the description fit better?",
    "localisation": "Where is what the description speaks of?",
    "naming": "Which description fits all of these images?",
    "same": "Do both descriptions name the same?",
}
"""Over a question, by the name of its task."""

Kind = Literal["choice", "truth", "number", "text"]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a reply says."""

    name: str
    kind: Kind
    options: tuple[int | str, ...] = ()
    """Of a choice."""

    @property
    def image(self) -> int | None:
        """The number of the image that it is about; None where it is about all."""
        found = _OF_IMAGE.fullmatch(self.name)
        return int(found[1]) if found else None

    def checked(self, value: object) -> Value:
        """The value, if it is one of this field.

        Raises:
            ValueError: it is not.
        """
        match self.kind, value:
            case "truth", bool():
                return value
            case "choice", int() | str() if not isinstance(value, bool) and value in self.options:
                return value
            case "number", int() if not isinstance(value, bool) and 0 <= value <= _MOST:
                return value
            case "text", str() if 0 < len(value.strip()) <= MOST_TEXT:
                return value.strip()
            case _:
                raise ValueError(f"{self.name} takes {self._takes}")

    @property
    def _takes(self) -> str:
        match self.kind:
            case "truth":
                return "yes or no"
            case "choice":
                return f"one of {', '.join(map(str, self.options))}"
            case "number":
                return f"a whole number from 0 to {_MOST:,}"
            case "text":
                return f"1 to {MOST_TEXT} characters"


class Shown(NamedTuple):
    """A tile as a part of a picture of the request, in the picture's pixels."""

    number: int
    """As the prompt counts it."""
    picture: Picture
    of: tuple[int, int]
    """Width and height of the whole picture."""
    x: int
    y: int
    width: int
    height: int


class Question:
    """A request as a person is asked it.

    Raises:
        AutointerpError: its reply has a field that a person cannot fill in.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.key = request.key
        properties = json.loads(request.reply_schema)["properties"]
        self.fields = tuple(_field(name, schema, request.task) for name, schema in properties.items())
        self.tiles = tuple(_tiles(request))

    @property
    def is_box(self) -> bool:
        """Whether the reply is a place in an image."""
        return {FOUND, *SIDES} <= {field.name for field in self.fields}

    @property
    def options(self) -> list[str]:
        """The texts that a choice of a number chooses from; none where it chooses an image."""
        texts = self.request.subject.split("\n") if self.request.subject else []
        return texts if len(texts) > 1 and any(len(field.options) == len(texts) for field in self.fields) else []

    @property
    def description(self) -> str:
        """The text that all images are compared with; empty where there is none, or several."""
        return "" if self.options else self.request.subject

    @property
    def instruction(self) -> list[str]:
        """The words of the prompt in paragraphs, without what only a program needs and what is shown beside them."""
        shown = {self.description, *self.options} - {""}
        first = [m for m in self.request.messages if m.role != "assistant"][:2]
        blocks = [b for m in first for part in m.parts if isinstance(part, TextPart) for b in part.text.split("\n\n")]
        lines = ([line for line in block.split("\n") if not _is_needless(line, shown)] for block in blocks)
        return [paragraph for block in lines if (paragraph := " ".join(block).strip())]

    @property
    def problem(self) -> str:
        """What was wrong with an earlier answer to it; empty where it is asked for the first time."""
        last = self.request.messages[-1]
        texts = [part.text for part in last.parts if isinstance(part, TextPart)]
        return " ".join(texts) if len(self.request.messages) > 2 else ""

    def whole(self, given: Given) -> Given | None:
        """The reply, in the order of its fields; None where something is missing.

        Raises:
            ValueError: the fields do not go together.
        """
        if self.is_box and given.get(FOUND) is False:
            given = given | dict.fromkeys(SIDES, 0)
        if any(field.name not in given for field in self.fields):
            return None
        if self.is_box and given[FOUND]:
            _check_box([int(given[side]) for side in SIDES])
        return {field.name: given[field.name] for field in self.fields}


def _field(name: str, schema: Mapping[str, object], task: str) -> Field:
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(options, list) and all(isinstance(option, int | str) for option in options):
        return Field(name, "choice", tuple(options))
    kinds: dict[object, Kind] = {"boolean": "truth", "integer": "number", "string": "text"}
    if (kind := kinds.get(schema.get("type"))) is None:
        raise AutointerpError(f"a person cannot answer questions of {task}; name a model")
    return Field(name, kind)


def _check_box(box: list[int]) -> None:
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1 and max(x1, y1) > 1):
        raise ValueError("the box has no size: draw it from one corner to the other")


def _is_needless(line: str, shown: set[str]) -> bool:
    """Whether a line of a prompt speaks to a program, or says what is shown beside it."""
    named, colon, text = line.partition(": ")
    return bool(_FOR_PROGRAMS.match(line)) or (bool(colon) and text in shown and named.startswith("Description"))


def _tiles(request: Request) -> Iterator[Shown]:
    for part in (part for message in request.messages for part in message.parts):
        if isinstance(part, ImagePart):
            yield from _tiles_of(part)


def _tiles_of(part: ImagePart) -> Iterator[Shown]:
    """A sheet cut into its tiles, without the numbers and the paper between them."""
    picture = part.picture
    size = picture_size(picture)
    if not picture.columns:
        yield Shown(part.numbers[0], picture, size, 0, 0, *size)
        return
    for place, (tile, number) in enumerate(zip(picture.tiles, part.numbers, strict=True)):
        frame = sheet_cell(place, picture.columns, picture.side).frame
        width, height = tile_size(tile, picture.side, picture.least)
        x, y = frame.x0 + (frame.width - width) // 2, frame.y0 + (frame.height - height) // 2
        yield Shown(number, picture, size, x, y, width, height)
