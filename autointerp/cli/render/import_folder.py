"""What `autointerp import folder` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.import_folder import ImportFolder
    from autointerp.dump.importers.folder import Imported


def show(result: "Imported", settings: "ImportFolder", *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    if as_json:
        say_json({"dump": str(settings.dump)} | result.model_dump(mode="json"))
        return 0
    say(f"{result.name}: {result.n_images:,} images -> {settings.dump}")
    for one in result.left_out:
        say(f"left out: {one}")
    if result.population_note is not None:
        say(f"{result.population_note}; if you know, give --population")
    outside = " --allow-outside" if settings.link else ""
    say(f"next: autointerp explain {settings.dump} --run RUN --model MODEL{outside}")
    return 0
