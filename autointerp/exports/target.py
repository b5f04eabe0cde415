"""Where an export is written: beside its place, which it takes when it is whole."""

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autointerp.clock import now
from autointerp.errors import SettingsError
from autointerp.processes import draft_of, remove
from autointerp.version import __version__

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Faults that only writing meets."""
FORMAT = "autointerp-export/1"
MARK = "export.json"
"""Is in each folder that an export wrote; only such a folder is replaced."""


def check_target(out: Path, *, folder: bool, overwrite: bool) -> None:
    """Refuses a place that is taken, before any work is done.

    Raises:
        SettingsError: `out` is there already and must not be replaced, or the folder around it is not there.
    """
    if not out.parent.is_dir():
        raise SettingsError(f"--out {out}: there is no folder {out.parent}; make it, or name another place")
    if not out.exists() and not out.is_symlink():
        return
    if not overwrite:
        raise SettingsError(f"--out {out}: exists already; name another place, or replace it with --overwrite")
    if out.is_symlink() or out.is_dir() != folder or (folder and not (out / MARK).is_file()):
        what = "a folder that an export wrote" if folder else "a plain file"
        raise SettingsError(f"--out {out}: is not {what}, so --overwrite does not replace it; name another place")


@contextmanager
def written(out: Path, *, folder: bool, overwrite: bool, marked: bool = True) -> Iterator[Path]:
    """A place to write to, which becomes `out` if all goes well, and of which nothing is left if it does not.

    Args:
        out: a file or a folder.
        folder: which of them; a folder is there and empty when the work begins.
        overwrite: whether what is there already is replaced.
        marked: whether a folder is told from others by the file of exports; what has a format of its own is not.

    Raises:
        SettingsError: as `check_target`, or it cannot be written.
    """
    check_target(out, folder=folder, overwrite=overwrite)
    try:
        draft = draft_of(out)
        try:
            if folder:
                draft.mkdir()
            yield draft
            if folder and marked:
                made = {"format": FORMAT, "version": __version__, "created": now()}
                (draft / MARK).write_text(json.dumps(made), encoding="utf-8")
            check_target(out, folder=folder, overwrite=overwrite)
            _put(draft, out)
        finally:
            remove(draft)
    except OSError as e:
        inside = e.filename is not None and str(e.filename).startswith(str(out.parent))
        if e.errno not in FULL and not inside:
            raise
        raise SettingsError(f"--out {out}: cannot be written ({e.strerror}); name another place") from e
    except sqlite3.OperationalError as e:
        if not e.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise
        raise SettingsError(f"--out {out}: cannot be written ({e}); name another place") from e


def _put(draft: Path, out: Path) -> None:
    """Takes the place of what is there; a folder needs two steps, between which `out` is not there."""
    if not out.is_dir():
        draft.replace(out)
        return
    aside = draft_of(out.with_name(f"{out.name}.old"))
    out.rename(aside)
    draft.rename(out)
    remove(aside)
