"""`autointerp view`: a run or a dump in the browser."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Location
from autointerp.transcoder.settings import BACKBONES, BackboneName


class View(Command):
    """Look at a run or a dump in the browser: search, compare, look at features and images.

    The pages are served by this machine to this machine alone, unless --host says otherwise; the address that is
    printed then holds a token, and only who knows it is served. Ctrl-C ends it. A run that still grows shows what is
    new when a page is loaded again.

    Example: `autointerp view runs/first --open`
    """

    what: Annotated[Location, Argument(metavar="RUN|DUMP")]
    """The folder of a run or of a dump, or its URL."""
    other: Annotated[Location | None, Argument(metavar="RUN2")] = None
    """Another run of the same dump, to be compared with the first."""
    host: str = "127.0.0.1"
    """The address of this machine to serve at; 0.0.0.0 serves every one who has the token."""
    port: Annotated[int | None, Field(ge=0, le=65535), Option(default="8765, or a free one")] = None
    """The port."""
    open: bool = False
    """Open the page in a browser."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    cache: Annotated[Path | None, Option(env="AUTOINTERP_CACHE", panel="Files", default="cache/")] = None
    """The folder of decoded images, and of the index where the run cannot be written."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""
    coder: Annotated[str | None, Option(panel="The coder")] = None
    """The coder that the dump was harvested with, as for harvest: images dropped onto a page are encoded by it, and
    features of a like direction are found. It needs the extra train."""
    backbone: Annotated[
        BackboneName | None,
        Option(default="what the coder names", panel="The coder", help=f"The model: {BACKBONES}."),
    ] = None
    reads: Annotated[str | None, Option(default="what the coder names", metavar="HOOKPOINT", panel="The coder")] = None
    """The hookpoint that the coder reads."""
    classifier: Annotated[Path | None, Option(panel="The coder")] = None
    """The folder of the classifier whose network the coder reads."""
    device: Annotated[str, Option(panel="The coder")] = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


view = Work(View, "autointerp.jobs.view:run", needs=("the explorer", ("starlette", "uvicorn"), "view"))
