"""Processes of this machine, and what those that are gone have left."""

import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path


def machine() -> str:
    """This machine since it was started, and of its containers the one whose process numbers are counted here."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def is_running(pid: int) -> bool:
    """Whether a process of this number runs here; also true where that cannot be known."""
    if os.name != "posix" or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def draft_of(file: Path) -> Path:
    """Where this process writes a file or folder that then takes its place; removes drafts of processes now gone."""
    ours = f".{file.name}.{os.getpid()}.part"
    for other in file.parent.glob(f".{file.name}.*.part"):
        pid = other.name.split(".")[-2]
        if pid.isdecimal() and (other.name == ours or not is_running(int(pid))):
            remove(other)
    return file.with_name(ours)


def remove(draft: Path) -> None:
    """Removes a file or a folder, where there is one."""
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)
