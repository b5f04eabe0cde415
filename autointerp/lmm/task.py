"""A kind of question: what its replies look like, how long they are, and how the embedded model answers it."""

from dataclasses import dataclass

from autointerp.lmm.local.model import LocalAnswerer
from autointerp.lmm.request import Request
from autointerp.replies import Reply


@dataclass(frozen=True, slots=True)
class Task:
    """Describes one kind of question."""

    name: str
    """It stands in `Request.task`, and so in the cache key."""
    reply: type[Reply]
    """The type of its replies. Where that depends on how many images or options a question has, it is their common
    base, `JudgeReply` or `NumberReply`."""
    tokens: int
    """Tokens of a usual reply, thinking not counted; the ledger corrects this from the first replies."""
    tokens_per_image: int = 0
    """Further tokens for each image that is shown."""
    local: LocalAnswerer | None = None
    """How the embedded model answers; None where it cannot."""

    def expected_tokens(self, request: Request) -> int:
        """Tokens that the reply to a request of this kind usually has."""
        return self.tokens + self.tokens_per_image * sum(len(p.tiles) // p.per_number for p in request.pictures)
