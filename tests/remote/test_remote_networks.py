"""Harvests and stores of activations on nodes that share no folder, stood in for by this process."""

import json
import os
from pathlib import Path

import fsspec
import pytest
from remote.stores import upload
from standin.commands import Result, run, says
from standin.crew import InTurn
from standin.layered import coder, layered, red_and_blue

from autointerp.remote.path import RemotePath
from autointerp.transcoder.coder_io import describe, save_coder

torch = pytest.importorskip("torch")

FEW = ("--top", "3", "--bands", "2", "--per-band", "2", "--reservoir", "4", "--silent", "6", "--guided", "2")
HARVEST = ("--coder", "coders/mine", "--labels", "labels.csv", *FEW, "--batch", "4", "--checkpoint-every", "4")
PLACES = ("--backbone", "layered", "--reads", "layer.in", "--writes", "layer.out", "--batch", "5")
RAY = ("--engine", "ray", "--actors", "3")


@pytest.fixture(autouse=True)
def seeing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command's own working folder, with a coder and labels, and a backbone of one layer."""
    for where in ("backbones.registry", "harvest.network"):
        monkeypatch.setattr(f"autointerp.transcoder.{where}.load_backbone", layered)
    (tmp_path / "driver" / "coders").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "driver")
    made = coder(perfect=True)
    save_coder(made, describe(made.config, model="layered", reads="layer.in", writes="layer.out"), Path("coders/mine"))
    names = sorted(str(p.relative_to("images")) for p in red_and_blue(Path("images"), 22).rglob("*.png"))
    # One picture is left out; that of a settled time is remembered.
    Path("labels.csv").write_text("path,label\n" + "".join(f"{n},{int('im' in n)}\n" for n in names[1:]))
    for file in Path("images").rglob("*.png"):
        os.utime(file, (1e9, 1e9))


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InTurn:
    return InTurn(tmp_path / "nodes", monkeypatch)


@pytest.fixture
def images(memory: str) -> str:
    return upload(Path("images"), f"{memory}/images")


def files(place: str) -> dict[str, bytes]:
    """The files of a place, apart from the time of their making."""
    if "://" in place:
        store = fsspec.filesystem("memory")
        base = str(store._strip_protocol(place))
        found = {p[len(base) + 1 :]: store.cat_file(p) for p in store.find(place)}
    else:
        found = {p.name: p.read_bytes() for p in Path(place).iterdir()}
    return {name: timeless(data) if name == "dump.json" else data for name, data in sorted(found.items())}


def timeless(data: bytes) -> bytes:
    said = json.loads(data)
    return json.dumps(said | {"created": None, "name": None}).encode()


def left(memory: str) -> list[str]:
    return [p for p in fsspec.filesystem("memory").find(memory) if ".shards" in p or ".parts" in p]


def ok(result: Result) -> Result:
    assert result.code == 0, result.err
    return result


@pytest.mark.parametrize("at_url", [True, False], ids=["url", "folder"])
def test_a_harvest_on_nodes_is_the_dump_of_one_process(memory: str, images: str, nodes: InTurn, at_url: bool):
    dump = f"{memory}/dump" if at_url else "dump"
    source = images if at_url else "images"
    ok(run("harvest", source, "whole", *HARVEST))

    said = ok(run("harvest", source, dump, *HARVEST, *RAY))

    assert files(dump) == files("whole")
    assert f"-> {dump}" in said.out
    assert left(memory) == []
    assert not Path(".dump.shards").exists()
    assert nodes.ran == (["_look"] * 3 + ["_plan"] + ["_shard_at_url"] * 3 if at_url else ["_shard_in_folder"] * 3)
    # Nothing is looked at by two, and nothing of it stays on a node but what it was given.
    assert [p for p in Path("../nodes").rglob("*of-3") if p.is_dir()] == []


def test_a_harvest_that_lost_its_driver_is_gone_on_with_from_anywhere(
    memory: str, images: str, nodes: InTurn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    ok(run("harvest", images, "whole", *HARVEST))
    with monkeypatch.context() as patch:
        patch.setattr("autointerp.jobs.harvest_ray.merge_into", _struck)
        with pytest.raises(InterruptedError):
            run("harvest", images, f"{memory}/dump", *HARVEST, *RAY)
    nodes.ran.clear()
    monkeypatch.setenv("AUTOINTERP_CACHE", str(tmp_path / "elsewhere"))

    refused = run("harvest", images, f"{memory}/dump", *HARVEST, "--seed", "1", *RAY)
    ok(run("harvest", images, f"{memory}/dump", *HARVEST, "--engine", "ray", "--actors", "9"))

    # A dump that was begun keeps its number of shards, and those that are done are not run again.
    assert nodes.ran.count("_shard_at_url") == 0
    assert files(f"{memory}/dump") == files("whole")
    assert "shards of a harvest were begun in which seed was 0" in refused.err


def _struck(*_: object, **__: object) -> None:
    raise InterruptedError


def test_a_harvest_at_a_url_is_not_begun_twice(memory: str, images: str, nodes: InTurn):
    ok(run("harvest", images, f"{memory}/dump", *HARVEST, *RAY))
    nodes.ran.clear()

    says(
        run("harvest", images, f"{memory}/dump", *HARVEST, *RAY),
        f"{memory}/dump: exists; name another place for the dump",
    )
    assert nodes.ran == []


@pytest.mark.parametrize("at_url", [True, False], ids=["url", "folder"])
def test_a_store_by_nodes_is_that_of_one_process(
    memory: str, images: str, nodes: InTurn, at_url: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("autointerp.transcoder.store.StoreWriter.__init__.__kwdefaults__", {"shard_tokens": 96})
    monkeypatch.setattr("autointerp.jobs.train_activations_ray.SHARD_TOKENS", 96)
    out, source = (f"{memory}/store", images) if at_url else ("store", "images")
    options = ("--labels", "labels.csv", *PLACES)
    one = ok(run("train", "activations", source, "--out", "whole", *options))

    said = ok(run("train", "activations", source, "--out", out, *options, *RAY))

    assert files(out) == files("whole")
    assert len(files(out)) == 2 + 4
    assert said.out == one.out.replace("whole", out)
    assert left(memory) == []
    assert not Path(".store.parts").exists()
    assert nodes.ran == ["_look"] * 3 + ["_plan"] + ["_run"] * 3
    again = run("train", "activations", source, "--out", out, *options, *RAY)
    says(again, f"{out}: holds activations already; give another folder")


def test_a_store_whose_driver_was_lost_is_gone_on_with_and_no_other_is(
    memory: str, images: str, nodes: InTurn, monkeypatch: pytest.MonkeyPatch
):
    ok(run("train", "activations", images, "--out", "whole", *PLACES))
    for out in (f"{memory}/store", "store"):
        with monkeypatch.context() as patch:
            patch.setattr("autointerp.jobs.train_activations_ray.join", _struck)
            with pytest.raises(InterruptedError):
                run("train", "activations", images, "--out", out, *PLACES, *RAY)
    nodes.ran.clear()

    other = run("train", "activations", images, "--out", f"{memory}/store", *PLACES, *RAY, "--dtype", "float32")
    alone = run("train", "activations", images, "--out", "store", *PLACES)
    ok(run("train", "activations", images, "--out", f"{memory}/store", *PLACES, "--actors", "7"))

    assert ".store.parts: a store was begun in which dtype was float16; give the same again" in other.err
    assert ".store.parts: --engine ray has begun this store; give the same command again" in alone.err
    assert "_run" not in nodes.ran
    assert files(f"{memory}/store") == files("whole")


def test_a_store_at_a_url_by_one_process(memory: str, images: str, tmp_path: Path):
    ok(run("train", "activations", images, "--out", "whole", *PLACES))
    said = ok(run("train", "activations", images, "--out", f"{memory}/store", *PLACES))

    assert files(f"{memory}/store") == files("whole")
    assert f"-> {memory}/store" in said.out
    assert list((tmp_path / "cache" / "stores").iterdir()) == []


def test_what_one_node_has_looked_at_no_other_opens(memory: str, nodes: InTurn, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    from autointerp.images import manifest

    look = manifest.look_of
    monkeypatch.setattr(manifest, "look_of", lambda image: (opened.append("look"), look(image))[1])

    ok(run("train", "activations", "images", "--out", f"{memory}/store", *PLACES, *RAY))

    assert len(opened) == 22


def test_options_of_a_cluster_go_with_the_engine(images: str):
    where = ("train", "activations", images, "--out", "store", *PLACES)

    says(run(*where, "--cores", "4"), "--cores goes with --engine ray")
    says(run(*where, "--ray-address", "auto"), "--ray-address goes with --engine ray")
    says(
        run(*where, "--engine", "ray", "--device", "cuda:1"),
        "--device cuda:1: Ray gives each shard a GPU of its own; write --device cuda",
    )
    assert (RemotePath(images) / "plausible/01.png").exists()


def test_a_store_at_a_url_is_fetched_once_and_learned_from(s3: str, monkeypatch: pytest.MonkeyPatch):
    fetched: list[str] = []
    from autointerp.jobs import stores

    fetch = stores.fetch
    monkeypatch.setattr(stores, "fetch", lambda place, file: (fetched.append(place.name), fetch(place, file))[1])
    short = ("--widths", "2,6", "--k", "2", "--steps", "5", "--batch", "32", "--held-out", "0.2")
    ok(run("train", "activations", "images", "--out", f"{s3}/store", *PLACES))
    ok(run("train", "activations", "images", "--out", "here", *PLACES))

    ok(run("train", "transcoder", "here", "--out", "one", *short))
    ok(run("train", "transcoder", f"{s3}/store", "--out", "two", *short))
    assert fetched == ["manifest.json", "shard-00000.safetensors"]
    ok(run("train", "evaluate", f"{s3}/store", "--coder", "two"))
    assert len(fetched) == 2

    assert Path("one/coder.safetensors").read_bytes() == Path("two/coder.safetensors").read_bytes()
    # Another store in its place, whose manifest says the same.
    fsspec.filesystem("s3").rm(f"{s3}/store", recursive=True)
    Path("images/plausible/21.png").write_bytes(Path("images/plausible/20.png").read_bytes())
    monkeypatch.setattr("autointerp.jobs.stores.stamp_from", lambda info: (1, 2))
    ok(run("train", "activations", "images", "--out", f"{s3}/store", *PLACES))
    ok(run("train", "transcoder", f"{s3}/store", "--out", "three", *short))
    assert fetched[2:] == ["manifest.json", "shard-00000.safetensors"]

    says(
        run("train", "transcoder", f"{s3}/none", "--out", "four", *short),
        f"{s3}/none: holds no activations, it has no manifest.json",
    )
