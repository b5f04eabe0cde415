"""The two servers, each started once a session; only where node is missing is a test skipped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import install
from servers.aimock import Aimock
from servers.processes import served
from standin.planted import FEATURES, plant

QUIET = {
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "warning",
}


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    """A server without fixtures."""
    try:
        script = install.aimock()
    except install.NoNodeError as e:
        pytest.skip(str(e))
    folder = tmp_path_factory.mktemp("aimock")
    fixtures = folder / "none.json"
    fixtures.write_text('{"fixtures": []}')
    command = ["node", script, "--port", "0", "--fixtures", fixtures, "--journal-max", "0"]
    with served(command, "/health", folder / "log", {}) as address:
        yield Aimock(address)


@dataclass(frozen=True)
class TinyLlava:
    """A running `transformers serve`, which loads a model from the folder that a request names."""

    address: str
    folder: Path
    """Holds the models `babbling` and `obedient`."""

    @property
    def url(self) -> str:
        """Base URL."""
        return f"{self.address}/v1"


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyLlava]:
    """`transformers serve` with two LLaVAs made on the spot."""
    folder = tmp_path_factory.mktemp("llava")
    quiet = QUIET | {"HF_HOME": str(folder / "hub")}
    builder = Path(__file__).with_name("tiny_llava.py")
    with (folder / "built").open("w") as out:
        subprocess.run([sys.executable, builder, folder], check=True, stdout=out, stderr=out, env=os.environ | quiet)
    # As a module: whichever packages Python finds here serve, and no script of another environment does.
    serve = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command = [*serve, "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    with served(command, "/health", folder / "log", quiet) as address:
        yield TinyLlava(address, folder)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of three features, numbered 0 to 2, each with 24 active and 12 silent exemplars and more."""
    return plant(tmp_path_factory.mktemp("planted") / "dump", features=FEATURES[:3]).folder
