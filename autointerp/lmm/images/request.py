"""The question whose answer is a picture: all that the picture depends on, and what is kept of the answer."""

import hashlib
import json
from collections.abc import Mapping
from typing import Self

from pydantic import NonNegativeInt, model_validator

from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.request import Message, Request, TextPart
from autointerp.replies import Reply, reply_schema

PICTURE = "picture"
"""The task of a request for a picture that is made from words alone."""
_SEEDS = 2**31


class PictureReply(Reply):
    """Says which picture was made; its bytes lie in the store of pictures."""

    sha256: str = ""
    """The digest of the file's bytes, hex."""
    width: NonNegativeInt = 0
    height: NonNegativeInt = 0
    """Pixels as they came, whatever size was asked for."""
    revised: str = ""
    """The prompt as the endpoint rewrote it, where it says so."""
    fault: str = ""
    """Why what came is no picture."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.fault or not self.sha256:
            raise ValueError(self.fault or "no picture came")
        return self


def picture_request(model: str, prompt: str, seed: int, fields: Mapping[str, str]) -> Request:
    """Builds the question for one picture; its key is the digest of all that decides the picture.

    Args:
        model: who makes it.
        prompt: what it shows, and in which style.
        seed: tells it from other pictures of the same words; it is sent where the endpoint takes one.
        fields: further fields of the endpoint's request, such as `size` and `quality`.
    """
    return Request(
        model=model,
        task=PICTURE,
        # No words are read out of a picture: here stand the fields that are sent beside the prompt.
        subject=json.dumps(fields, sort_keys=True),
        messages=(Message("user", (TextPart(prompt),)),),
        reply_schema=reply_schema(PictureReply),
        temperature=0.0,
        max_tokens=1,
        seed=seed,
    )


def prompt_of(request: Request) -> str:
    """The words of a request for a picture."""
    return "\n".join(part.text for part in request.messages[0].parts if isinstance(part, TextPart))


def fields_of(request: Request) -> dict[str, str]:
    """The further fields of a request for a picture."""
    return json.loads(request.subject)


def seed_of(*parts: object) -> int:
    """Gives a seed that follows from the parts alone, 0 to 2³¹-1."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) % _SEEDS


A_PICTURE = TokenEstimate(0, 1)
"""What a picture takes of a budget: one piece, whose price is that of a picture."""


def one_picture(request: Request) -> TokenEstimate:
    """Counts what a request takes of a budget."""
    return A_PICTURE
