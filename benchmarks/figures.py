"""How the benchmarks state what they measured: medians with their ranges, and the machine."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median


def machine() -> str:
    """Processor, cores this process may use, memory, load over the last minute, Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {cores} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def cpu_of_children() -> float:
    """Seconds of CPU, user and system, of all processes that this one started and that have ended."""
    now = os.times()
    return now.children_user + now.children_system


def put_between(page: Path, text: str, marks: tuple[str, str]) -> None:
    """Replaces what stands between two marks of a page."""
    before, first, rest = page.read_text().partition(marks[0])
    _, second, after = rest.partition(marks[1])
    assert second, f"{page} has no {marks[0]} before {marks[1]}"
    page.write_text(f"{before}{first}\n\n{text}\n\n{second}{after}")


def stated(values: Sequence[float], digits: int = 1) -> str:
    """`median (least to most of n)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f} of {len(values)})"


def verdict(what: str, values: Sequence[float], target: float, *, at_least: bool, digits: int = 2) -> str:
    """A line with a ratio, its target, and whether its median reaches it."""
    middle = median(values)
    reached = middle >= target if at_least else middle <= target
    sign = ">=" if at_least else "<="
    return f"{what}: {stated(values, digits)}; target {sign} {target:g}: {'reached' if reached else 'MISSED'}"
