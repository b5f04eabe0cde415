"""`autointerp cache prune`: removes what you name from the cache."""

from typing import Annotated

from pydantic import AfterValidator, ByteSize, PositiveFloat, TypeAdapter, ValidationError

from autointerp.commands.cache_info import OfCache, Runs
from autointerp.options import Option, Work

_SIZE = TypeAdapter(ByteSize)


def bytes_of(text: str) -> int:
    """Reads a size such as `500MB`, `2GB` or `2GiB` as bytes: MB stands for 1,000 kB, and MiB for 1,024 KiB.

    Raises:
        ValueError: the text is no size.
    """
    try:
        return _SIZE.validate_python(text)
    except ValidationError:
        raise ValueError("write it as 500MB or 2GB") from None


def _checked(text: str) -> str:
    bytes_of(text)
    return text


class CachePrune(OfCache):
    """Remove from the cache what you name, and say first what that is; nothing goes unasked.

    What several options name is removed if any of them names it. An answer that is removed is paid for again if its
    question comes up again. The working copy of a run at a URL, which may hold what is not sent yet, is never removed.

    Example: `autointerp cache prune --older 90 --pictures --dry-run`
    """

    older: PositiveFloat | None = None
    """Remove answers and what follows from them that were written more than this many days ago."""
    runs: Annotated[Runs, Option("--run")] = ()
    """Remove the answers that this run was given, as far as it keeps its exchanges, also where another run shares
    them; repeat it for several."""
    pictures: bool = False
    """Remove decoded images, which are made again when they are needed."""
    max_size: Annotated[str | None, AfterValidator(_checked), Option(metavar="<size>")] = None
    """Remove damaged files that were kept, decoded images and then the oldest rows until the folder has this size at
    most, such as 2GB."""
    dry_run: bool = False
    """Say what would be removed, and remove nothing."""


cache_prune = Work(CachePrune, "autointerp.jobs.cache:prune")
