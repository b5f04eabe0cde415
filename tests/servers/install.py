"""Installs aimock, a server that nobody here wrote, into the environment of the Python that runs this.

`make dev` runs it as a script. The tests call it too, so an environment that was made in another way gets it as well.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).parent
PINNED = ("package.json", "package-lock.json")
LONGEST = 1200
"""Seconds for the installation."""


class NoNodeError(Exception):
    """There is no node or no npm: the one reason for which tests of aimock are skipped."""


def aimock() -> Path:
    """The script that node runs. It is installed if it is not there yet.

    Raises:
        NoNodeError: node or npm is not on the path.
        RuntimeError: npm failed; the text is what it printed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoNodeError("aimock needs node and npm (20.15 or later)")
    digest = hashlib.sha256(b"\0".join((HERE / file).read_bytes() for file in PINNED)).hexdigest()
    folder = Path(sys.prefix, "servers", f"aimock-{digest[:12]}")
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _npm(folder)
            (folder / "ready").touch()
    return folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"


def _npm(folder: Path) -> None:
    for file in PINNED:
        shutil.copy(HERE / file, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Installs it and prints where it is. Without node it prints which tests will be skipped."""
    try:
        sys.stdout.write(f"aimock: {aimock()}\n")
    except NoNodeError as e:
        sys.stdout.write(f"{e}; the tests that use it will be skipped\n")


if __name__ == "__main__":
    main()
