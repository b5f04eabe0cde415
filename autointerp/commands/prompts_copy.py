"""`autointerp prompts copy`: the shipped templates, to be changed."""

from pathlib import Path
from typing import Annotated

from autointerp.options import Argument, Command, Work


class PromptsCopy(Command):
    """Copy the shipped templates of prompts into a folder, to change them there and pass it as `--prompts`.

    No file that is there is overwritten. Delete the templates that you leave as they are: a template that the folder
    lacks is the shipped one.

    Example: `autointerp prompts copy my-prompts`
    """

    out: Annotated[Path, Argument(metavar="DIR")]
    """The folder that the templates are copied into; it is made where it does not exist."""


prompts_copy = Work(PromptsCopy, "autointerp.jobs.prompts_copy:run")
