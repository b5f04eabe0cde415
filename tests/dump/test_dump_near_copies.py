"""Near-duplicates of a dump that states none are found by how its images look, and remembered."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.near_copies import FILE, NearCopies
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.images import near_duplicates
from autointerp.schema import ImageRow
from autointerp.synthetic.drawing import draw
from autointerp.synthetic.scenes import draw_scenes

SCENES = [draw(scene) for scene in draw_scenes(4, seed=3)]
"""Images 0 to 3 of the dump; 10 and 11 are small copies of 0 and 1, and 20 is a broken copy of 2."""


def encoded(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **how)
    return target.getvalue()


@pytest.fixture
def info() -> DumpInfo:
    return DumpInfo(
        name="d",
        created="2026-01-31",
        created_by="t",
        model="m",
        hookpoint="h",
        n_latents=4,
        widths=(4,),
        n_images=100,
        active_above=0.5,
    )


def written(folder: Path, info: DumpInfo, *, group: str | None = None) -> Dump:
    files = {i: encoded(scene) for i, scene in enumerate(SCENES)}
    files |= {10 + i: encoded(SCENES[i].resize((170, 170)), "JPEG", quality=50) for i in (0, 1)}
    with DumpWriter(folder, info) as writer:
        for image, data in files.items():
            path = writer.work / f"{image}.img"
            path.write_bytes(data)
            writer.add_image(image, path=path.name, group=group if image == 3 else None)
        (writer.work / "20.img").write_bytes(files[2][:600])
        writer.add_image(20, path="20.img", size=SCENES[2].size)
    return open_dump(folder)


def groups(copies: NearCopies, dump: Dump, images: tuple[int, ...] = (0, 1, 2, 3, 10, 11, 20)) -> dict[int, str | None]:
    rows = dict(zip(images, dump.images(images), strict=True))
    return {image: row.group for image, row in copies.grouped(rows).items()}


def partners(found: dict[int, str | None]) -> set[frozenset[int]]:
    names = {name for name in found.values() if name is not None}
    return {frozenset(i for i, own in found.items() if own == name) for name in names}


def test_copies_share_a_group_and_a_broken_image_has_none(tmp_path: Path, info: DumpInfo) -> None:
    dump = written(tmp_path / "d", info)

    found = groups(NearCopies(dump, None), dump)

    assert partners(found) == {frozenset({0, 10}), frozenset({1, 11})}
    assert (found[2], found[3], found[20]) == (None, None, None)


def test_groups_depend_on_what_is_asked_for_together_alone(tmp_path: Path, info: DumpInfo) -> None:
    dump = written(tmp_path / "d", info)
    copies = NearCopies(dump, None)

    few = groups(copies, dump, (0, 1, 10))
    groups(copies, dump)

    assert partners(few) == {frozenset({0, 10})}
    assert groups(copies, dump, (0, 1, 10)) == few == groups(NearCopies(dump, None), dump, (0, 1, 10))


def test_a_dump_that_states_groups_keeps_them_and_no_image_is_looked_at(tmp_path: Path, info: DumpInfo) -> None:
    dump = written(tmp_path / "d", info, group="mine")

    found = groups(NearCopies(dump, None), dump)

    assert {i: name for i, name in found.items() if name} == {3: "mine"}
    assert not (tmp_path / "d" / FILE).exists()


def test_what_was_seen_is_remembered_beside_the_dump(tmp_path: Path, info: DumpInfo) -> None:
    dump = written(tmp_path / "d", info)
    digest, before = dump.digest, groups(NearCopies(dump, tmp_path / "cache"), dump)
    for file in (tmp_path / "d").glob("*.img"):
        file.unlink()

    with open_dump(tmp_path / "d") as again:
        assert groups(NearCopies(again, None), again) == before
        assert again.digest == digest
    assert not (tmp_path / "cache").exists()


def test_where_the_dump_cannot_be_written_it_is_remembered_elsewhere(tmp_path: Path, info: DumpInfo) -> None:
    dump = written(tmp_path / "d", info)
    (tmp_path / "d" / FILE).mkdir()  # so that no file can be written there

    before = groups(NearCopies(dump, tmp_path / "cache"), dump)
    for file in (tmp_path / "d").glob("*.img"):
        file.unlink()

    assert len(list((tmp_path / "cache").glob(f"*-{FILE}"))) == 1
    assert groups(NearCopies(dump, tmp_path / "cache"), dump) == before
    assert partners(groups(NearCopies(dump, None), dump)) == set()


@pytest.mark.parametrize("content", [b"not a database", b""])
def test_a_damaged_memory_is_passed_over(tmp_path: Path, info: DumpInfo, content: bytes) -> None:
    dump = written(tmp_path / "d", info)
    (tmp_path / "d" / FILE).write_bytes(content)

    assert len(partners(groups(NearCopies(dump, None), dump))) == 2


def test_of_a_file_that_was_replaced_nothing_is_remembered(tmp_path: Path, info: DumpInfo) -> None:
    first = written(tmp_path / "one", info)
    groups(NearCopies(first, None), first)
    other = tmp_path / "two"
    with DumpWriter(other, info) as writer:
        for image, scene in ((0, SCENES[0]), (10, SCENES[3])):
            writer.add_image(image, data=encoded(scene))
    (other / FILE).write_bytes((tmp_path / "one" / FILE).read_bytes())

    with open_dump(other) as dump:
        assert partners(groups(NearCopies(dump, None), dump, (0, 10))) == set()


def test_each_image_is_decoded_once(tmp_path: Path, info: DumpInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = written(tmp_path / "d", info)
    seen: list[int] = []
    look = near_duplicates.look_of
    monkeypatch.setattr("autointerp.dump.near_copies.look_of", lambda image: seen.append(1) or look(image))
    copies = NearCopies(dump, None)

    groups(copies, dump, (0, 1, 2))
    groups(copies, dump, (1, 2, 3))
    groups(NearCopies(dump, None), dump, (0, 1, 2, 3))

    assert len(seen) == 4


def test_features_that_are_asked_for_at_once_look_at_each_image_once(
    tmp_path: Path, info: DumpInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = written(tmp_path / "d", info)
    looked: list[int] = []
    other_asks = threading.Event()
    look = NearCopies._look

    def watched(self: NearCopies, row: ImageRow) -> near_duplicates.Look | None:
        looked.append(row.image)
        assert other_asks.wait(10)
        return look(self, row)

    monkeypatch.setattr(NearCopies, "_look", watched)
    copies = NearCopies(dump, None)

    def second() -> dict[int, str | None]:
        other_asks.set()
        return groups(copies, dump)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(groups, copies, dump)
        two = pool.submit(second)
    assert one.result() == two.result()
    # The broken one is tried by both.
    assert sorted(looked) == [0, 1, 2, 3, 10, 11, 20, 20]
