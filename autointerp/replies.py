"""What a reply must look like: the JSON an LMM (or the embedded model) answers with."""

import json
import re
import unicodedata
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

MAX_WORDS = 45
"""Longer explanations are asked for again; the prompt says 20."""
MAX_CHARACTERS = 600
"""Of an explanation, which may be written without spaces between its words."""

_MARKED = r"(?:outlined|highlighted|marked|dimmed|masked|circled)"
_PLACE = r"(?:region|area|part|section|patch|spot)(?:e?s)?"
_PICTURE = r"(?:the|each|every|this|an?) (?:\w+ )?(?:images?|pictures?|photos?)"
_OVERLAY = re.compile(
    # "in the outlined area", "outlined area with a cat", yet not "the marked area of a car park" or "circled numbers".
    rf"(?:^|\b(?:the|in|inside|within|of|from|each|every) ){_MARKED} {_PLACE}\b(?! (?:of|on|in) (?!{_PICTURE}))"
    # "in the red outline", yet not "inside the outline of a country".
    r"|\b(?:in|inside|within|outside|beyond|by|under) the (?:(?:thin|dark|red|white|drawn|added) )*"
    r"(?:outline|contour|overlay|dimming)\b(?! (?:of|around|on|lines?)\b)"
    # "the outline marks a wheel", "the outline drawn on the image".
    r"|\bthe (?:\w+ )?(?:outline|highlight|overlay|dimming) (?:marks|shows|indicates)\b"
    rf"|\b(?:outline|highlight|overlay|dimming) (?:was )?(?:drawn|added) (?:\w+ )?(?:{_PICTURE}|{_PLACE})\b"
    r"|\bbounding box",
    re.IGNORECASE,
)
"""Talk of a mark that was added to the pictures. Such words are honest where they name what the pictures show, so that
a mark is refused only as the place where something is, with nothing said of what it belongs to."""


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


AnyCase = BeforeValidator(_lower)
"""Endpoints that enforce no schema answer `Yes` where `yes` was asked for."""


_NUMBERED = re.compile(
    r"(?:(?:the|is|answer|odd|active|silent|image|picture|photo|crop|tile|option|choice|number|item|description|explanation"
    r"|candidate|text|word)(?![a-z])|n[or]\.|[#№(\[\"'*:_\s])*(\d{1,9})(?: \((?:strong|weaker)\))?[)\].:\"'*\s]*",
    re.IGNORECASE,
)
"""A number with nothing around it that could deny or change it; as the prompt writes it, an image's level too."""


def _whole(value: object) -> object:
    """`"Image 3"` and `3.0`, which endpoints that enforce no schema send, as whole numbers; nothing is rounded.

    A number in words, a fraction, a range and a number beside other words are left as they are, to be refused: `the odd
    one` is no 1, and `three of them` no 3.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _NUMBERED.fullmatch(value)
        return int(found[1]) if found else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)

_UNSEEN = dict.fromkeys((*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0), 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0))
"""What has no shape of its own though Unicode counts it among letters, marks and symbols."""
_MOST_ITEMS = 1000


def _visible(value: object, longest: int) -> object:
    """The words that a reader sees, without control and format characters; refused where there are too many."""
    if isinstance(value, list):
        if len(value) > _MOST_ITEMS:
            raise ValueError(f"has {len(value):,} items")
        return [_visible(item, longest) for item in value]
    if not isinstance(value, str):
        return value
    if len(value) > longest:
        raise ValueError(f"a text of {len(value):,} characters; at most {longest:,} can be used")
    if value.isascii() and value.isprintable():
        return value
    spaced = "".join(" " if c in "\t\n\v\f\r\x85\u2028\u2029" else c for c in value.translate(_UNSEEN))
    return "".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


class Reply(BaseModel):
    """Base of all replies; unknown keys are ignored, since small models like to add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)
    longest: ClassVar[int] = 10_000
    """Characters of one text."""

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, said: object) -> object:
        if not isinstance(said, dict):
            return said
        return {key: _visible(value, cls.longest) for key, value in said.items() if key in cls.model_fields}


class ExplainReply(Reply):
    """Answer to the explain prompt."""

    candidates: list[str]
    """Properties considered, each a short phrase."""
    verdict: Annotated[Literal["one", "mixed", "none"], AnyCase]
    """One common property, several unrelated ones, or no common property."""
    explanation: str
    """At most 20 words; empty where the verdict is none."""
    concepts: list[str]
    """The distinct concepts, one where the verdict is one."""
    lookalikes: str = Field(default="")
    """What resembles it and is excluded; may be empty."""
    misfits: list[Annotated[int, Whole]] = Field(default=[])
    """Numbers of the active images that do not fit."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.verdict == "none":
            return self
        if not any(unicodedata.category(c)[0] in "LNS" for c in self.explanation):
            # Marks that join what is not there, dots and dashes are no words.
            raise ValueError(f"explanation is empty though the verdict is {self.verdict!r}")
        if (n := len(self.explanation.split())) > MAX_WORDS:
            raise ValueError(f"explanation has {n} words; at most 20 were asked for")
        if (n := len(self.explanation)) > MAX_CHARACTERS:
            raise ValueError(f"explanation has {n:,} characters; at most 20 words were asked for")
        if found := _OVERLAY.search(self.explanation):
            raise ValueError(f"explanation speaks of a mark that was added to the images ({found[0]!r})")
        return self


class DomainReply(Reply):
    """Answer to a domain's second pass."""

    observations: str = Field(default="")
    """What is seen in the images, in the answerer's own words, before the checklist."""
    found: bool
    """Whether one error is shared by most of the images."""
    error: str
    """The shared error in at most 20 words; empty where none was found."""
    category: str
    """An entry of the checklist, or none."""
    images: list[Annotated[int, Whole]] = Field(default=[])
    """Numbers of the images that show it."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.found and not self.error:
            raise ValueError("error is empty though found is true")
        if (n := len(self.error)) > MAX_CHARACTERS:
            raise ValueError(f"error has {n:,} characters; at most 20 words were asked for")
        return self


class SteerReply(Reply):
    """Says in the model's own words what a steered vision tower showed it."""

    text: Annotated[str, Field(min_length=1)]


Fit = Literal["yes", "unsure", "no"]
_COMMENTED = re.compile(
    r"(yes|unsure|no)\s*(?:[.!]+|\(([^()]*)\)[.!]*|[,;:]\s*(.*)|\s[-\u2013\u2014]+\s(.*))", re.DOTALL
)
_TURNS = re.compile(
    r"\b(?:yes|no|not|unsure|but|or|if|except|maybe|may|might|could|perhaps|possibly|probably|likely|partly|somewhat"
    r"|slightly|barely|hardly|almost|nearly|unlikely|unclear|uncertain|though|although|however|yet|actually|rather"
    r"|instead|otherwise|neither|nor|doubt\w*|false|wrong)\b|n't|n\u2019t|\d\s*%|\d\.\d"
)
"""What in a comment could turn or weaken a verdict."""


def _verdict(value: object) -> object:
    """A verdict in any case, also with a comment after it, as in `yes (clearly)`.

    The comment stands in parentheses, or after a comma, a colon, a semicolon or a dash. One that could turn the verdict
    (`yes, but only partly`, `no (or unsure)`) leaves it as it is, to be refused.
    """
    said = _lower(value)
    found = _COMMENTED.fullmatch(said) if isinstance(said, str) else None
    if found is None or _TURNS.search("".join(part or "" for part in found.groups()[1:])):
        return said
    return found[1]


Said = BeforeValidator(_verdict)
BELIEF: dict[Fit, float] = {"yes": 1.0, "unsure": 0.5, "no": 0.0}
"""How the three answers enter the arithmetic."""


class JudgeReply(Reply):
    """Answer to the judge prompt; its subclasses have a field `image_<i>` for each number."""

    def fits(self) -> tuple[Fit, ...]:
        """Returns the verdicts by number."""
        return tuple(getattr(self, name) for name in type(self).model_fields)


@lru_cache(maxsize=128)
def judge_reply(n: int) -> type[JudgeReply]:
    """The reply to a judging prompt over images numbered 1…n: one key for each number, named `image_<n>`."""
    fields = {f"image_{i}": (Annotated[Fit, Said], ...) for i in range(1, n + 1)}
    return create_model(f"JudgeReply{n}", __base__=JudgeReply, **fields)  # pyright: ignore[reportCallIssue, reportArgumentType]


@lru_cache(maxsize=256)
def reply_schema(reply: type[Reply]) -> str:
    """The JSON schema in the strict subset that endpoints enforce: every key required, no others, no titles."""
    schema = reply.model_json_schema()
    fields = {name: _strict(field) for name, field in schema["properties"].items()}
    strict = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return json.dumps(strict, separators=(",", ":"))


def _strict(field: dict[str, object]) -> dict[str, object]:
    return {k: _strict(v) if isinstance(v, dict) else v for k, v in field.items() if k not in ("title", "default")}


class NumberReply(Reply):
    """Answer to a question whose answers are numbered; its subclasses have that field first, named as prompted."""

    @property
    def number(self) -> int:
        """Returns the answer, counted from 1."""
        return next(getattr(self, name) for name in type(self).model_fields)

    @property
    def decided(self) -> bool:
        """Whether the images told the answer; false where it says that it is a guess."""
        return getattr(self, "sure", True)


@lru_cache(maxsize=128)
def number_reply(key: str, n: int, *, sure: bool = False) -> type[NumberReply]:
    """The reply `{key: number}` with a number of 1…n; with `sure` it also says whether that is more than a guess.

    A reply that leaves `sure` out, as to a template of one's own, counts as sure.
    """
    fields = {key: (Annotated[Literal[tuple(range(1, n + 1))], Whole], ...)}
    if sure:
        fields |= {"sure": (bool, True)}
    return create_model(f"NumberReply{n}", __base__=NumberReply, **fields)  # pyright: ignore[reportCallIssue, reportArgumentType]
