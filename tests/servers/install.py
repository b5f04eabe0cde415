"""Installs the servers that nobody here wrote, each into a cached folder named after what is pinned for it.

The tests call it, and are skipped where it fails. Run it beforehand (`python tests/servers/install.py`) where they must
not wait for downloads, or where a failure must be one: it then ends with an error.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).parent
LONGEST = 1200
"""Seconds for one installation."""


class NotInstallableError(Exception):
    """The reason in one line."""


def cache() -> Path:
    """Where the servers are kept: AUTOINTERP_TEST_SERVERS, else the user's cache folder."""
    given = os.environ.get("AUTOINTERP_TEST_SERVERS")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else home / "autointerp-test-servers"


def aimock() -> Path:
    """The script that node runs.

    Raises:
        NotInstallableError: there is no node, or the package index does not give the package.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotInstallableError("aimock needs node and npm (20.15 or later)")
    folder = _once("aimock", ("package.json", "package-lock.json"), _npm)
    return folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


def transformers() -> Path:
    """The Python that has `transformers serve`.

    Raises:
        NotInstallableError: the package index does not give the packages.
    """
    return _once("transformers", ("requirements.txt",), _pip) / "bin" / "python"


def _once(name: str, pinned: tuple[str, ...], install: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(b"\0".join((HERE / file).read_bytes() for file in pinned) + sys.version.encode())
    folder = cache() / f"{name}-{digest.hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            (folder / "ready").touch()
    return folder


def _npm(folder: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / file, folder)
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))


def _pip(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    # What the test environment has of it, torch above all, is used and not downloaded again.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt"))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise NotInstallableError(f"{' '.join(command[:4])}: {e}") from e
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise NotInstallableError(f"{' '.join(command[:4])}: {reason}")


def main() -> None:
    """Installs both and prints where they are."""
    for server in (aimock, transformers):
        sys.stdout.write(f"{server.__name__}: {server()}\n")


if __name__ == "__main__":
    main()
