"""Dumps at a URL: the same features, digest and images as from the local copy."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from remote.stores import S3, WebFolder, upload
from standin.commands import run, says
from standin.planted import Population
from standin.records import timeless
from standin.server import StandIn

from autointerp.dump.format import DumpInfo
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.errors import DumpError, SettingsError
from autointerp.images.decode import digest_of
from autointerp.remote.path import filesystem
from autointerp.schema import Exemplar, FeatureRow


@pytest.fixture(params=["memory", "s3", "ranges", "whole files"])
def url(request: pytest.FixtureRequest, population: Population) -> Iterator[str]:
    """The planted dump at a URL of each kind."""
    if request.param in ("memory", "s3"):
        yield upload(population.folder, f"{request.getfixturevalue(request.param)}/dump")
        return
    with WebFolder(population.folder.parent, ranges=request.param == "ranges") as web:
        yield f"{web.url}/{population.folder.name}"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """One feature on one image that lies beside the tables under an awkward name."""
    folder = tmp_path / "linked"
    (folder / "images").mkdir(parents=True)
    file = folder / "images" / "50% of #1 + a?.png"
    Image.new("RGB", (16, 12), "red").save(file)
    info = DumpInfo(
        name="linked",
        created="2026-01-31T12:00:00+00:00",
        created_by="a test",
        model="vit",
        hookpoint="layer.6",
        n_latents=1,
        widths=(1,),
        n_images=10,
        active_above=0.5,
    )
    with DumpWriter(tmp_path / "tables", info) as writer:
        writer.add_image(0, path=f"images/{file.name}", size=(16, 12), sha256=digest_of(file))
        writer.add_feature(FeatureRow(0, 1, 1, 3.0, None, None), (Exemplar(0, 3.0, "top", 1.0, None, None),))
    for table in (tmp_path / "tables").iterdir():
        table.rename(folder / table.name)
    return folder


def content(dump: Dump, image: int) -> bytes:
    """An image file, inside the dump or beside it."""
    source = dump.image_source(image)
    return source if isinstance(source, bytes) else source.read_bytes()


def test_a_dump_at_a_url_has_the_features_digest_and_images_of_its_local_copy(url: str, population: Population):
    local = open_dump(population.folder)

    with open_dump(url) as remote:
        assert str(remote.path) == url
        assert remote.digest == local.digest
        assert list(remote.features()) == list(local.features())
        assert remote.feature(5) == local.feature(5)
        assert [content(remote, i) for i in (0, 1, 150, 299)] == [content(local, i) for i in (0, 1, 150, 299)]
        assert remote.features_table().equals(local.features_table())
        assert remote.exemplars_dataset().to_table().equals(local.exemplars_dataset().to_table())


def test_explaining_from_a_url_gives_the_records_of_the_local_copy(url: str, population: Population, tmp_path: Path):
    with StandIn() as seer:
        usual = ("--model", "seer", "--base-url", seer.url, "--features", "0-3", "--concurrency", "4")
        local = run("explain", population.folder, "--run", tmp_path / "local", "--cache", tmp_path / "a", *usual)
        there = run("explain", url, "--run", tmp_path / "there", "--cache", tmp_path / "b", *usual)
        judged = run(
            "score", tmp_path / "there", "--cache", tmp_path / "b", "--scorers", "detection", "--controls", "0"
        )
        moved = run("status", tmp_path / "there")

    assert (local.code, there.code, judged.code, moved.code) == (0, 0, 0, 0)
    assert timeless(tmp_path / "there")[0] == timeless(tmp_path / "local")[0]
    assert f'"path": "{url}"' in (tmp_path / "there" / "run.json").read_text()


def test_inspect_and_estimate_read_a_dump_at_a_url(memory: str, population: Population):
    url = upload(population.folder, f"{memory}/dump")

    checked = run("inspect", url, "--check")
    estimated = run("estimate", url, "--models", "gpt-5-mini", "--json")

    assert checked.code == 0
    assert f"({url})" in checked.out
    assert estimated.code == 0
    assert '"features": 12' in estimated.out


@pytest.mark.parametrize("ranges", [True, False])
def test_an_image_beside_a_dump_on_the_web_is_read_by_its_name(linked: Path, tmp_path: Path, ranges: bool):
    with WebFolder(linked, ranges=ranges) as web:
        drawn = run("inspect", web.url, "--feature", "0", "--out", tmp_path / "sheet.png")
        checked = run("inspect", web.url, "--check")

    assert (drawn.code, drawn.err) == (0, "")
    assert (checked.code, [line for line in checked.out.splitlines() if "sha256" in line or "no file" in line]) == (
        0,
        [],
    )
    assert run("inspect", linked, "--feature", "0", "--out", tmp_path / "local.png").code == 0
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "local.png").read_bytes()


def test_an_image_beside_a_dump_in_a_bucket_is_read(s3: str, linked: Path):
    url = upload(linked, f"{s3}/deep/dump")

    checked = run("inspect", url, "--check")

    assert (checked.code, [line for line in checked.out.splitlines() if "sha256" in line or "no file" in line]) == (
        0,
        [],
    )


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_path_that_leaves_a_dump_at_a_url_is_refused(memory: str, linked: Path, path: str):
    table = pq.read_table(linked / "images.parquet").to_pydict() | {"path": [path]}
    schema = pq.read_schema(linked / "images.parquet")
    pq.write_table(
        pq.read_table(linked / "images.parquet").from_pydict(table, schema=schema), linked / "images.parquet"
    )
    url = upload(linked, f"{memory}/dump")

    with pytest.raises(DumpError) as refused:
        open_dump(url)

    assert str(refused.value) == (
        f"{url}/images.parquet: row 0: path is {path!r}, outside the dump; "
        "if you trust it, allow it with --allow-outside"
    )
    trusted = open_dump(url, allow_outside=True).image_source(0)
    assert str(trusted) == ("/etc/passwd" if path.startswith("/") else f"{memory}/secret.png")


def test_an_encoded_way_out_of_a_dump_on_the_web_is_a_file_name(linked: Path, tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    with WebFolder(tmp_path, ranges=True) as web:
        with open_dump(f"{web.url}/linked") as dump:
            outside = dump.image_table.resolve("%2e%2e/secret.png", 0)

        assert str(outside) == f"{web.url}/linked/%252e%252e/secret.png"


def test_of_a_large_table_only_the_row_groups_asked_for_are_fetched(linked: Path):
    rows = pq.read_table(linked / "images.parquet").to_pylist()
    contents = [Random(i).randbytes(500_000) for i in range(8)]
    many = [rows[0] | {"image": i, "path": None, "bytes": content} for i, content in enumerate(contents)]
    schema = pq.read_schema(linked / "images.parquet")
    pq.write_table(pa.Table.from_pylist(many, schema=schema), linked / "images.parquet", row_group_size=1)

    with WebFolder(linked, ranges=True) as web, open_dump(web.url) as dump:
        opened = web.bytes_of("images.parquet")
        found = dump.image_source(3)
        fetched = web.bytes_of("images.parquet") - opened

    assert opened < 200_000
    assert found == contents[3]
    assert 500_000 < fetched < 510_000


def test_parts_of_a_table_are_found_without_a_list(population: Population, tmp_path: Path):
    folder = tmp_path / "split"
    folder.mkdir()
    for file in population.folder.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "exemplars.parquet").unlink()
    table = pq.read_table(population.folder / "exemplars.parquet")
    for number, rows in enumerate((table.slice(0, 48), table.slice(48))):
        pq.write_table(rows, folder / f"exemplars-{number:05d}.parquet")

    with WebFolder(folder, ranges=True) as web:
        with open_dump(web.url) as dump:
            assert dump.digest == open_dump(folder).digest
        (folder / "exemplars-00000.parquet").unlink()
        with pytest.raises(DumpError) as gap:
            open_dump(web.url)

    assert str(gap.value) == (
        f"{web.url}/exemplars-00000.parquet: there is no such file, but exemplars-00001.parquet follows it"
    )


def test_a_dump_that_is_not_there_is_one_line(memory: str, tmp_path: Path):
    with WebFolder(tmp_path, ranges=True) as web:
        for url in (memory, web.url):
            says(
                run("inspect", url),
                f"{url}: not a dump, it has no dump.json; give a folder such as `autointerp import` writes",
            )


def test_a_missing_or_cut_table_is_one_line(memory: str, population: Population):
    url = upload(population.folder, f"{memory}/dump")
    store = fsspec.filesystem("memory")
    store.pipe_file(f"{url}/images.parquet", (population.folder / "images.parquet").read_bytes()[:-100])
    cut = run("inspect", url)
    store.rm(f"{url}/images.parquet")
    missing = run("inspect", url)

    assert (cut.code, missing.code) == (2, 2)
    assert cut.err.startswith(f"autointerp: {url}/images.parquet: not a Parquet file: ")
    assert cut.err.count("\n") == 1
    says(
        missing,
        f"{url}/images.parquet: there is no such file; a dump has one, so harvest or import it again",
    )


def test_a_web_server_that_stumbles_is_asked_again_and_one_that_refuses_is_not(population: Population):
    with WebFolder(population.folder, ranges=True) as web:
        web.refuse["dump.json"] = [503, 500]
        stumbled = run("inspect", web.url)
        web.refuse["dump.json"] = [401, 200]
        refused = run("inspect", web.url)

    assert stumbled.code == 0
    says(refused, f"{web.url}/dump.json: cannot be read: HTTP 401 Unauthorized")
    assert web.refuse["dump.json"] == [200]


def test_wrong_keys_are_one_line_that_does_not_hold_them(
    s3: str, s3_server: S3, population: Population, monkeypatch: pytest.MonkeyPatch
):
    url = upload(population.folder, f"{s3}/dump")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    filesystem.cache_clear()
    fsspec.get_filesystem_class("s3").clear_instance_cache()

    without = run("inspect", url)

    assert without.code == 2
    assert without.err.startswith(f"autointerp: {url}/dump.json: cannot be read: ")
    assert without.err.count("\n") == 1
    assert s3_server.secret not in without.err
    assert s3_server.key not in without.err


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("s3://me:hunter2@bucket/dump", "s3://…: a URL with a password, `?` or `#` is not taken"),
        ("https://host/dump?token=hunter2", "https://…: a URL with a password, `?` or `#` is not taken"),
        ("nonsense://bucket/dump", "nonsense://…: no such kind of URL is known; s3, gs, abfss, http and https are"),
        ("s3://", "s3://: names no folder; give for example s3://bucket/dump"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(url: str, line: str):
    said = run("inspect", url)

    assert said.code == 2
    assert said.err.startswith(f"autointerp: {line}")
    assert said.err.count("\n") == 1
    assert "hunter2" not in said.err


def test_a_url_that_went_through_a_path_is_told_apart_from_a_folder():
    with pytest.raises(SettingsError, match="s3:/bucket/dump: a Path takes one slash from a URL; give the URL as text"):
        open_dump(Path("s3://bucket/dump"))


def test_a_file_url_is_a_local_folder(population: Population):
    assert open_dump(f"file://{population.folder}").path == population.folder
