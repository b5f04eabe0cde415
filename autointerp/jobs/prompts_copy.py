"""`autointerp prompts copy`: copies the shipped templates into a folder."""

from dataclasses import dataclass
from pathlib import Path

from autointerp.commands.prompts_copy import PromptsCopy
from autointerp.errors import SettingsError
from autointerp.job import Progress
from autointerp.prompts import shipped_folder


@dataclass(frozen=True, slots=True)
class Copied:
    """The templates that were copied."""

    folder: Path
    templates: tuple[str, ...]
    """Their paths in the folder, sorted."""


def run(settings: PromptsCopy, *, progress: Progress | None = None) -> Copied:
    """Copies every template, or none where one of them is there.

    Raises:
        SettingsError: a template is there already, or the folder cannot be made.
    """
    shipped, out = shipped_folder(), settings.out
    templates = sorted(path.relative_to(shipped) for path in shipped.rglob("*.jinja"))
    for template in templates:
        if (out / template).exists():
            raise SettingsError(f"{out / template}: is there already and stays as it is; name another folder")
    try:
        for template in templates:
            (out / template).parent.mkdir(parents=True, exist_ok=True)
            (out / template).write_bytes((shipped / template).read_bytes())
    except (FileExistsError, NotADirectoryError) as e:
        raise SettingsError(f"{out}: is no folder; name another one") from e
    return Copied(out, tuple(template.as_posix() for template in templates))
