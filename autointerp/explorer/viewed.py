"""What the explorer shows: a dump, the runs that explain it, and what makes their pictures."""

from dataclasses import dataclass, field
from pathlib import Path

from autointerp.dump.reader import Dump
from autointerp.explorer.encoding import ImageEncoder
from autointerp.explorer.evidence import Evidence
from autointerp.explorer.index import Index
from autointerp.explorer.index_rows import Listing
from autointerp.explorer.meaning import Meanings
from autointerp.explorer.reversing import Reversing
from autointerp.explorer.sessions import Sessions
from autointerp.images.renderer import Renderer
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.places import cache_folder
from autointerp.runs.folder import Run
from autointerp.web.guard import Guard


@dataclass(frozen=True, slots=True)
class Viewed:
    """Holds what all pages read."""

    dump: Dump
    runs: tuple[Run, ...]
    """None for a dump alone; two where they are compared."""
    renderer: Renderer
    guard: Guard
    indices: tuple[Index, ...]
    """One for each run, else one for the dump."""
    cache: Path = field(default_factory=cache_folder)
    """The folder for what is made once for a dump."""
    encoder: ImageEncoder | None = None
    """Encodes an image that was dropped onto a page; None where no coder was given."""
    sessions: Sessions | None = None
    """Of people who judge and vote; None where there is no run, or one that is only read."""
    evidence: Evidence = field(init=False)
    """The dump's features and images, the last ones kept."""
    reversing: Reversing = field(init=False)
    """Which features fire on an image."""

    meanings: Meanings = field(init=False)
    """Finds explanations of the first run by what they mean."""

    def __post_init__(self) -> None:
        """Makes what reads the dump for pages."""
        object.__setattr__(self, "meanings", Meanings(self.index, self.cache))
        object.__setattr__(self, "evidence", Evidence(self.dump, self.runs))
        object.__setattr__(self, "reversing", Reversing(self.dump, self.cache))

    @property
    def picture_folders(self) -> tuple[Path, ...]:
        """Where pictures lie that were made for the runs."""
        return tuple(run.path / PICTURES for run in self.runs)

    @property
    def index(self) -> Index:
        """Of the first run, or of the dump."""
        return self.indices[0]

    @property
    def places(self) -> list[tuple[str, str]]:
        """The pages that every page leads to, by address and name."""
        known = [("/", "Features", True), ("/overview", "Overview", bool(self.runs))]
        known += [("/compare", "Compare", len(self.runs) > 1), ("/image", "Images", True)]
        known += [("/votes", "Votes", bool(self.runs)), ("/judge", "Judge", self.sessions is not None)]
        return [(address, name) for address, name, there in known if there]

    @property
    def listing(self) -> Listing:
        """Finds features by what is asked for."""
        return Listing(self.index, self.indices[1] if len(self.indices) > 1 else None, self.meanings)
