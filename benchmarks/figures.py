"""How the benchmarks state what they measured: medians with their ranges, and the machine."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
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


def compile_package(python: str = sys.executable) -> None:
    """Compiles the package of an interpreter, as installers do; a command that has to do it takes a third longer."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = "import compileall, autointerp; compileall.compile_dir(autointerp.__path__[0], quiet=1)"
    subprocess.run([python, "-c", code], check=True, env=environment)


def cpu_of_children() -> float:
    """Seconds of CPU, user and system, of all processes that this one started and that have ended."""
    now = os.times()
    return now.children_user + now.children_system


def peak_memory(pid: int | str = "self") -> float:
    """MB that were resident in a process at most since it began its program.

    Unlike `ru_maxrss`, which a process inherits from the one that began it. Raises OSError where there is none.
    """
    said = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()
    if not said:
        raise ProcessLookupError(f"process {pid} has ended")
    return int(said[0]) / 1024


def put_between(page: Path, text: str, marks: tuple[str, str]) -> None:
    """Replaces what stands between two marks of a page."""
    before, first, rest = page.read_text(encoding="utf-8").partition(marks[0])
    _, second, after = rest.partition(marks[1])
    assert second, f"{page} has no {marks[0]} before {marks[1]}"
    page.write_text(f"{before}{first}\n\n{text}\n\n{second}{after}", encoding="utf-8")


def put_tables(page: Path, tables: Mapping[str, str], of: str) -> None:
    """Replaces what stands between the marks `of: NAME` of a page by the table of each name."""
    for name, text in tables.items():
        put_between(page, text, (f"<!-- {of}: {name} -->", f"<!-- /{of}: {name} -->"))


def stated(values: Sequence[float], digits: int = 1) -> str:
    """`median (least to most of n)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f} of {len(values)})"


def verdict(what: str, values: Sequence[float], target: float, *, at_least: bool, digits: int = 2) -> str:
    """A line with a ratio, its target, and whether its median reaches it."""
    middle = median(values)
    reached = middle >= target if at_least else middle <= target
    sign = ">=" if at_least else "<="
    return f"{what}: {stated(values, digits)}; target {sign} {target:g}: {'reached' if reached else 'MISSED'}"
