"""What an importer returns: the dump's record, and what it did not take."""

from autointerp.dump.format import DumpInfo
from autointerp.images.formats import LeftOut


class Imported(DumpInfo):
    """What was written, and what was not."""

    left_out: tuple[LeftOut, ...] = ()
    said: tuple[str, ...] = ()
    """What the user should know of how the source was read."""
    outside: bool = False
    """Whether paths of images lead out of the dump."""
