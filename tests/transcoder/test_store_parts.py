"""A store that several processes write, each its own images, has the bytes of one process's store."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from harvest_world import PlantedBackbone, pictures, planted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autointerp.errors import SettingsError
from autointerp.populations.images import Population
from autointerp.transcoder import store_parts
from autointerp.transcoder.settings import StoreSettings
from autointerp.transcoder.store import Activations, StoreWriter, record
from autointerp.transcoder.store_parts import Places, StorePlan, join, missing_of, write_pieces

N, L, PATCHES = 23, 6, 6
BACKBONE = PlantedBackbone(planted(N, L))


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return pictures(tmp_path_factory.mktemp("pictures"), N)


def plan(of: int, *, batch: int = 3, shard_tokens: int = 10, tokens: int | None = 4, reads: str = "layer") -> StorePlan:
    what = StoreSettings(reads=reads, writes=None, tokens_per_image=tokens, dtype="float32", batch=batch)
    point = BACKBONE.hookpoints[reads]
    return StorePlan(
        version="0",
        of=of,
        n_images=N,
        per_image=min(tokens or PATCHES, PATCHES) if point.kind == "patches" else 1,
        shard_tokens=shard_tokens,
        about=Activations(backbone="planted", reads=reads, d_in=point.width, dtype="float32"),
        settings=what,
        population="p",
        backbone="b",
    )


def whole(of: StorePlan, population: Population, folder: Path) -> dict[str, bytes]:
    """The files of one process's store."""
    with StoreWriter(folder, of.about, shard_tokens=of.shard_tokens) as writer:
        record(BACKBONE, population, writer, of.settings, progress=lambda done, total: None)
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def share(of: StorePlan, index: int, population: Population, home: Path) -> None:
    told: list[tuple[int, int]] = []
    at = Places(home / "out", home / "parts")
    write_pieces(of, index, at, BACKBONE, population, lambda *n: told.append(n), "cpu")
    if images := of.images_of(index):
        assert told[-1] == (len(images), len(images))


def joined(of: StorePlan, home: Path) -> dict[str, bytes]:
    manifest = join(of, Places(home / "out", home / "parts"), lambda done, total: None)
    (home / "out" / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n")
    return files(home / "out")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    of=st.integers(1, 9),
    batch=st.integers(1, 6),
    shard_tokens=st.integers(1, 40),
    tokens=st.sampled_from([None, 1, 3]),
    order=st.randoms(use_true_random=False),
)
def test_shares_in_any_order_make_the_bytes_of_one_process(
    population: Population,
    tmp_path_factory: pytest.TempPathFactory,
    of: int,
    batch: int,
    shard_tokens: int,
    tokens: int | None,
    order: Random,
):
    home, these = tmp_path_factory.mktemp("store"), plan(of, batch=batch, shard_tokens=shard_tokens, tokens=tokens)
    indices = list(range(of))
    order.shuffle(indices)

    for index in indices:
        share(these, index, population, home)

    assert joined(these, home) == whole(these, population, home / "whole")


def test_images_and_tokens_are_dealt_without_gap_or_overlap():
    these = plan(4, batch=5)

    assert [list(these.images_of(i)) for i in range(4)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11, 12, 13, 14],
        [15, 16, 17, 18, 19, 20, 21, 22],
    ]
    pieces = [(p.first, p.stop, p.shard) for p in these.pieces()]
    # 20 tokens of 5 images are two shards of 10 each; the last has the 2 that are left.
    assert pieces == [(10 * i, min(10 * i + 10, 92), i) for i in range(10)]
    # 12 tokens of 3 images: the second shard of 10 is of two processes.
    assert [(p.first, p.stop, p.shard) for p in plan(8).pieces()][:4] == [
        (0, 10, 0),
        (10, 12, None),
        (12, 20, None),
        (20, 24, None),
    ]


@pytest.mark.parametrize("lost_after", [0, 1, 2, 3])
def test_a_lost_share_goes_on_behind_its_last_file(
    population: Population, tmp_path: Path, lost_after: int, monkeypatch: pytest.MonkeyPatch
):
    these = plan(2, shard_tokens=7)
    n_files = len(these.pieces_of(0))
    with monkeypatch.context() as patch:
        patch.setattr(store_parts, "save_file", after(lost_after, store_parts.save_file))
        with pytest.raises(KeyboardInterrupt):
            share(these, 0, population, tmp_path)
    assert len(missing_of(these, 0, Places(tmp_path / "out", tmp_path / "parts"))) == n_files - lost_after
    before = BACKBONE.n_run
    share(these, 0, population, tmp_path)
    ran = BACKBONE.n_run - before
    share(these, 1, population, tmp_path)

    # What is run again begins with a batch of 3 images, 12 tokens, in which the first missing token lies.
    assert ran == len(these.images_of(0)) - 7 * lost_after // 12 * 3
    assert joined(these, tmp_path) == whole(these, population, tmp_path / "whole")


def after(n: int, save: Callable[..., None]) -> Callable[..., None]:
    """Saves n files, and is struck down at the next one."""
    saved: list[int] = []

    def struck(*args: object) -> None:
        if len(saved) == n:
            raise KeyboardInterrupt
        saved.append(1)
        save(*args)

    return struck


def test_a_part_that_is_cut_off_or_missing_is_one_line(population: Population, tmp_path: Path):
    these = plan(8)
    for index in range(8):
        share(these, index, population, tmp_path)
    part = sorted((tmp_path / "parts").iterdir())[0]
    torch_file = part.read_bytes()

    part.write_bytes(torch_file[:-4])
    with pytest.raises(SettingsError, match=r"cannot be read: .*remove .*part-000000000000010-000000000000012"):
        joined(these, tmp_path)
    part.unlink()
    with pytest.raises(SettingsError, match=r"part-000000000000010-000000000000012.*cannot be read or written"):
        joined(these, tmp_path)


def test_stores_of_other_settings_are_told_apart():
    these = plan(2)

    assert these.differs(plan(2)) is None
    assert these.differs(plan(2, batch=4)) == "batch was 3"
    assert these.differs(plan(3)) == "there were 2 actors"
    assert these.differs(these.model_copy(update={"population": "q"})) == "the images or their labels were others"
    assert these.differs(these.model_copy(update={"backbone": "c"})) == "the backbone or its classifier was another"


def test_a_pooled_vector_is_one_token(population: Population, tmp_path: Path):
    these = plan(3, shard_tokens=5, reads="vector")
    for index in range(3):
        share(these, index, population, tmp_path)

    assert these.tokens == N
    assert joined(these, tmp_path) == whole(these, population, tmp_path / "whole")


def test_the_planted_backbone_has_as_many_patches_as_these_tests_say():
    assert BACKBONE.run(torch.zeros(1, 3, BACKBONE.side, BACKBONE.side), ["layer"])["layer"].shape[1] == PATCHES
