"""Processes of this machine, and what those that are gone have left."""

import os
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
    """Where this process writes a file before it takes its place; drafts of processes that are gone are removed."""
    ours = f".{file.name}.{os.getpid()}.part"
    for other in file.parent.glob(f".{file.name}.*.part"):
        pid = other.name.split(".")[-2]
        if pid.isdecimal() and (other.name == ours or not is_running(int(pid))):
            other.unlink(missing_ok=True)
    return file.with_name(ours)
