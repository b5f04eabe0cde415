"""What a reply must look like: the JSON an LMM (or the embedded model) answers with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, create_model


class Reply(BaseModel):
    """Base of all replies; unknown keys are ignored, since small models like to add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class ExplainReply(Reply):
    """Answer to the explain prompt."""

    candidates: list[str] = Field(max_length=12)
    """Properties considered, each a short phrase."""
    verdict: Literal["one", "mixed", "none"]
    """One common property, several unrelated ones, or no common property."""
    explanation: str
    """6 to 20 words; empty where the verdict is none."""
    concepts: list[str]
    """The distinct concepts, one where the verdict is one."""
    lookalikes: str
    """What resembles it and is excluded; may be empty."""
    misfits: list[int]
    """Numbers of the active images that do not fit."""


class DomainReply(Reply):
    """Answer to a domain's second pass."""

    observations: str
    """What is seen in the images, in the answerer's own words, before the checklist."""
    found: bool
    """Whether one error is shared by most of the images."""
    error: str
    """The shared error in 4 to 20 words; empty where none was found."""
    category: str
    """An entry of the checklist, or none."""
    images: list[int]
    """Numbers of the images that show it."""


Fit = Literal["yes", "unsure", "no"]
BELIEF: dict[str, float] = {"yes": 1.0, "unsure": 0.5, "no": 0.0}
"""How the three answers enter the arithmetic."""


def judge_reply(n: int) -> type[Reply]:
    """The reply to a judging prompt over images numbered 1…n: one key for each number, named `image_<n>`."""
    fields = {f"image_{i}": (Fit, ...) for i in range(1, n + 1)}
    return create_model(f"JudgeReply{n}", __base__=Reply, **fields)  # pyright: ignore[reportCallIssue, reportArgumentType]
