import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.store import MANIFEST, Activations, ActivationStore, StoreWriter
from autointerp.transcoder.stream import StoreSource
from autointerp.transcoder.tokens import TokenBatch

PER_IMAGE = 300
N_IMAGES = 10
ABOUT = Activations(backbone="tiny", reads="mlp.in", writes="mlp.out", d_in=3, d_out=2, dtype="float32")


def write(folder: Path, about: Activations = ABOUT, n_images: int = N_IMAGES) -> Path:
    """Ten images of 300 tokens in five groups; an input is (image, token, image), a target (token, image)."""
    with StoreWriter(folder, about, shard_tokens=1000) as writer:
        for image in range(n_images):
            place, of = torch.arange(PER_IMAGE).float(), torch.full((PER_IMAGE,), image)
            inputs = torch.stack([of.float(), place, of.float()], dim=1)
            targets = torch.stack([place, of.float()], dim=1) if about.d_out else None
            writer.add(inputs, targets, of, of // 2)
    return folder


def source(folder: Path, *, held_out: float = 0.2, seed: int = 0) -> StoreSource:
    return StoreSource(ActivationStore(folder), seed=seed, held_out=held_out, buffer=700)


def names(batches: Iterable[TokenBatch]) -> list[tuple[int, int]]:
    """Image and token of every row, the same by input and by target."""
    rows = [row for batch in batches for row in torch.cat([batch.inputs, batch.targets], dim=1).int().tolist()]
    assert all(row[1] == row[3] and row[0] == row[4] for row in rows)
    return [(row[0], row[1]) for row in rows]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("store") / "tiny")


def test_store_of_3000_tokens_in_shards_of_1000(stored: Path):
    store = ActivationStore(stored)

    assert [shard.tokens for shard in store.manifest.shards] == [1000, 1000, 1000]
    assert store.column(1, "images")[[0, 199, 200]].tolist() == [3, 3, 4]
    assert store.rows(1, [(198, 200), (0, 1)]).inputs[:, 0].tolist() == [3, 3, 3]
    assert store.rows(1, [(198, 200), (0, 1)]).targets[:, 0].tolist() == [298, 299, 100]


def test_an_epoch_holds_every_token_to_learn_from_once_and_none_held_out(stored: Path):
    stream = source(stored)

    seen = names(islice(stream.batches(100, 0), 24))
    kept_back = names(stream.held_out(70, 10**6))

    assert stream.n_training == 2400
    assert len(set(seen)) == 2400
    assert len(kept_back) == len(set(kept_back)) == 600
    groups = [{image // 2 for image, _ in side} for side in (seen, kept_back)]
    assert (len(groups[0]), len(groups[1])) == (4, 1)
    assert not groups[0] & groups[1]


def test_epochs_have_orders_of_their_own_that_follow_from_the_seed(stored: Path):
    first, again, other = (names(islice(source(stored, seed=s).batches(100, 0), 48)) for s in (3, 3, 4))

    assert first == again
    assert first != other
    assert first[:2400] != first[2400:]
    assert sorted(first[:2400]) == sorted(first[2400:])


def test_a_batch_mixes_images_and_neighbours(stored: Path):
    batch = names(islice(source(stored).batches(200, 0), 1))

    assert len({image for image, _ in batch}) >= 2
    assert batch != sorted(batch)


@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 22, 23, 24, 47, 50])
def test_reading_may_begin_at_any_batch(stored: Path, start: int):
    whole = list(islice(source(stored).batches(99, 0), 52))

    begun = next(source(stored).batches(99, start))

    assert torch.equal(begun.inputs, whole[start].inputs)
    assert torch.equal(begun.targets, whole[start].targets)


def test_beginning_late_reads_only_the_window_it_lies_in(stored: Path, monkeypatch: pytest.MonkeyPatch):
    stream, read = source(stored), []
    whole = ActivationStore.rows

    def counted(self: ActivationStore, shard: int, slices: list[tuple[int, int]]) -> TokenBatch:
        read.append(sum(b - a for a, b in slices))
        return whole(self, shard, slices)

    monkeypatch.setattr(ActivationStore, "rows", counted)
    next(stream.batches(100, 23))

    assert sum(read) <= 700 + 256


def test_held_out_tokens_can_be_bounded(stored: Path):
    found = names(source(stored, held_out=0.4).held_out(50, 300))

    assert 300 <= len(found) <= 300 + 256


def test_without_held_out_all_tokens_are_learned_from(stored: Path):
    stream = source(stored, held_out=0.0)

    assert stream.n_training == 3000
    assert list(stream.held_out(100, 10**6)) == []


def test_an_autoencoder_reads_either_side(stored: Path):
    store = ActivationStore(stored)

    inputs = StoreSource(store, seed=0, held_out=0.2, side="inputs")
    targets = StoreSource(store, seed=0, held_out=0.2, side="targets")

    assert (inputs.d_in, inputs.d_out, targets.d_in, targets.d_out) == (3, 3, 2, 2)
    for stream, size in ((inputs, 3), (targets, 2)):
        batch = next(stream.batches(10, 0))
        assert batch.inputs is batch.targets
        assert batch.inputs.shape == (10, size)


def test_store_of_inputs_alone_trains_an_sae_and_no_transcoder(tmp_path: Path):
    folder = write(tmp_path / "s", ABOUT.model_copy(update={"writes": None, "d_out": None}))

    batch = next(StoreSource(ActivationStore(folder), seed=0, held_out=0.2, side="inputs").batches(10, 0))

    assert batch.inputs.shape == (10, 3)
    with pytest.raises(SettingsError, match="holds inputs alone"):
        source(folder)


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [("float16", 70_000.0, False), ("bfloat16", 70_000.0, True), ("bfloat16", float("nan"), False)],
)
def test_an_activation_that_the_type_cannot_hold_is_refused(tmp_path: Path, dtype: str, value: float, fits: bool):
    about = Activations.model_validate({"backbone": "b", "reads": "r", "d_in": 1, "dtype": dtype})
    one: Tensor = torch.zeros(1, dtype=torch.int64)
    writer = StoreWriter(tmp_path / "s", about)

    def add() -> None:
        writer.add(torch.tensor([[value]]), None, one, one)

    if fits:
        add()
    else:
        with pytest.raises(SettingsError, match=f"do not fit {dtype}"):
            add()


def test_a_store_is_written_once_and_has_no_manifest_until_it_is_whole(tmp_path: Path):
    def cut_off() -> None:
        with StoreWriter(tmp_path / "s", ABOUT, shard_tokens=1) as writer:
            one = torch.zeros(1, dtype=torch.int64)
            writer.add(torch.zeros(1, 3), torch.zeros(1, 2), one, one)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cut_off()

    with pytest.raises(SettingsError, match="holds no activations"):
        ActivationStore(tmp_path / "s")
    write(tmp_path / "s")
    with pytest.raises(SettingsError, match="holds activations already"), StoreWriter(tmp_path / "s", ABOUT):
        pass


def test_split_and_batch_that_leave_nothing_are_one_line(stored: Path):
    with pytest.raises(SettingsError, match="has only 5 image groups; hold less out"):
        source(stored, held_out=0.99)
    with pytest.raises(
        SettingsError, match="fewer than a batch of 2401; give a store of more images or a smaller --batch"
    ):
        next(source(stored).batches(2401, 0))


def test_broken_stores_are_one_line_each(tmp_path: Path):
    folder = write(tmp_path / "s")
    manifest = json.loads((folder / MANIFEST).read_text())
    shard = folder / "shard-00001.safetensors"
    whole = shard.read_bytes()

    def says(message: str) -> None:
        with pytest.raises(SettingsError, match=message) as caught:
            ActivationStore(folder)
        assert "\n" not in str(caught.value)

    shard.write_bytes(whole[:-8])
    says("shard-00001.safetensors: cannot be read")
    shard.unlink()
    says("shard-00001.safetensors: is missing")
    shard.write_bytes(whole)
    manifest["shards"][1]["tokens"] = 999
    (folder / MANIFEST).write_text(json.dumps(manifest))
    says(r"inputs is \[1000, 3\]; the manifest says \[999, 3\]")
    manifest["about"]["format"] = "autointerp-activations/9"
    (folder / MANIFEST).write_text(json.dumps(manifest))
    says("manifest.json: about.format")
    manifest["shards"][1]["file"] = "../x"
    (folder / MANIFEST).write_text("{")
    says("manifest.json: ")
