"""`autointerp cache`: what it counts, what it finds broken, and what it removes."""

import asyncio
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from autointerp.commands.cache_info import CacheInfo
from autointerp.commands.cache_prune import CachePrune, bytes_of
from autointerp.commands.cache_verify import CacheVerify
from autointerp.errors import RunError, SettingsError
from autointerp.images.decode import Plain
from autointerp.images.pixel_file import PixelFile
from autointerp.jobs import cache as jobs
from autointerp.jobs.cache import DAY
from autointerp.lmm.cache import Cache
from autointerp.lmm.cache_users import CacheBusyError
from autointerp.lmm.images.store import PictureStore
from autointerp.runs.exchanges import Exchange, packed
from autointerp.runs.info import DumpReference, ExplainStage, RunInfo
from autointerp.settings import ExplainSettings, ModelSettings

ANSWER = {"text": '{"fits": true}', "model": "m"}


def key(number):
    return f"{number:064x}"


def put(folder, rows):
    async def all_of_them():
        with Cache(folder) as cache:
            for name, value in rows.items():
                await cache.put(name, value)

    asyncio.run(all_of_them())


def dated(folder, name, time):
    with closing(sqlite3.connect(folder / "answers" / "cache.db")) as file, file:
        file.execute("UPDATE Cache SET store_time = ? WHERE key = ?", (time, name))


def left(folder):
    with Cache(folder) as cache:
        return [name for name in (key(1), key(2), "outcome:p:1", "dialect:x") if cache.get(name) is not None]


def keep_pixels(place):
    pixels = PixelFile(place)
    pixels.keep(("0" * 64, 8), Plain(np.zeros((4, 8, 4), np.uint8), (8, 4), 1))
    pixels.wait()
    pixels.close()


@pytest.fixture
def cache(tmp_path):
    """Two answers, an outcome of the first, what an endpoint understands, and the pixels of one dump."""
    outcome = {"answers": f'{{"{key(1)}": "s"}}'}
    put(tmp_path, {key(1): ANSWER, key(2): ANSWER, "outcome:p:1": outcome, "dialect:x": {"schema": True}})
    keep_pixels(tmp_path / "pixels" / "0123")
    return tmp_path


def test_info_counts_by_kind_and_by_model(cache):
    found = jobs.info(CacheInfo(cache=cache))

    assert {p.kind: p.n for p in found.parts} == {"answers": 2, "outcomes": 1, "endpoints": 1, "decoded images": 1}
    assert [(p.kind, p.n) for p in found.models] == [("m", 2)]
    assert found.size == sum(f.stat().st_size for f in cache.rglob("*") if f.is_file())


def test_verify_finds_nothing_wrong_in_a_sound_cache(cache):
    found = jobs.verify(CacheVerify(cache=cache))

    assert not found.broken
    assert found.read == {"answers": 2, "outcomes": 1, "endpoints": 1, "images seen": 0, "decoded images": 1}


def test_verify_names_a_broken_row_and_counts_broken_pixels_and_changes_nothing(cache):
    with closing(sqlite3.connect(cache / "answers" / "cache.db")) as file, file:
        file.execute("UPDATE Cache SET value = ? WHERE key = ?", (b"{", key(2)))
    with (cache / "pixels" / "0123" / "pixels").open("r+b") as file:
        file.write(b"\x01")
    before = {f: f.read_bytes() for f in (cache / "answers").iterdir() if f.suffix == ".db"}

    found = jobs.verify(CacheVerify(cache=cache))

    assert found.broken == {"other rows": 1, "decoded images": 1}
    assert len(found.listed) == 1
    assert "key 0000000000000000" in found.listed[0]
    assert before == {f: f.read_bytes() for f in before}


def test_verify_says_which_file_is_none(cache):
    (cache / "images.db").write_bytes(b"no database" * 100)

    found = jobs.verify(CacheVerify(cache=cache))

    assert found.broken == {"files": 1}
    assert "images.db: cannot be read" in found.listed[0]


def test_what_is_old_goes_with_what_follows_from_it_and_what_endpoints_understand_stays(cache):
    dated(cache, key(1), 0.0)
    dated(cache, "dialect:x", 0.0)

    done = jobs.prune(CachePrune(cache=cache, older=1))

    assert {p.kind: p.n for p in done.removed} == {"answers": 1, "outcomes": 1}
    assert left(cache) == [key(2), "dialect:x"]


def test_a_dry_run_says_the_same_and_removes_nothing(cache):
    dated(cache, key(1), 0.0)

    said = jobs.prune(CachePrune(cache=cache, older=1, pictures=True, dry_run=True))

    assert {p.kind: p.n for p in said.removed} == {"answers": 1, "outcomes": 1, "decoded images": 1}
    assert left(cache) == [key(1), key(2), "outcome:p:1", "dialect:x"]
    assert said.after < said.before


def test_pictures_are_the_decoded_images_alone(cache):
    jobs.prune(CachePrune(cache=cache, pictures=True))

    assert not list((cache / "pixels").iterdir())
    assert left(cache) == [key(1), key(2), "outcome:p:1", "dialect:x"]


def test_for_a_size_pictures_go_first_and_then_the_oldest_rows(cache):
    whole = jobs.info(CacheInfo(cache=cache)).size
    dated(cache, key(2), 5 * DAY)

    first = jobs.prune(CachePrune(cache=cache, max_size=str(whole - 1), dry_run=True))
    then = jobs.prune(CachePrune(cache=cache, max_size=str(whole - 400), dry_run=True))

    assert [p.kind for p in first.removed] == ["decoded images"]
    assert {p.kind: p.n for p in then.removed} == {"answers": 1, "decoded images": 1}


def test_what_a_person_answered_stays(cache):
    put(cache, {key(1): {"text": "{}", "model": "human:anna"}})
    dated(cache, key(1), 0.0)

    jobs.prune(CachePrune(cache=cache, older=1, max_size="1"))

    assert left(cache) == [key(1), "dialect:x"]


def test_nothing_is_removed_under_a_process_that_has_the_cache_open(cache):
    with Cache(cache), pytest.raises(CacheBusyError, match="has this cache open"):
        jobs.prune(CachePrune(cache=cache, pictures=True))
    assert list((cache / "pixels").iterdir())


def test_prune_that_names_nothing_removes_nothing(cache):
    with pytest.raises(SettingsError, match="name what may go, by --older DAYS"):
        jobs.prune(CachePrune(cache=cache))


def test_a_folder_that_is_not_there_is_no_cache(tmp_path):
    with pytest.raises(SettingsError, match="there is no cache"):
        jobs.info(CacheInfo(cache=tmp_path / "none"))


def test_a_run_that_is_none_is_said(cache, tmp_path):
    with pytest.raises(RunError):
        jobs.prune(CachePrune(cache=cache, runs=(str(tmp_path / "none"),)))


def test_sizes_are_powers_of_a_thousand_but_for_those_that_say_otherwise():
    assert [bytes_of(text) for text in ("500MB", "2 GB", "1.5k", "12")] == [500_000_000, 2_000_000_000, 1500, 12]
    assert bytes_of("2GiB") == 2 * 1024**3
    with pytest.raises(ValueError, match="500MB"):
        bytes_of("much")


def a_run_that_was_given(folder, *numbers):
    """A run folder with one line of exchanges."""
    folder.mkdir()
    info = RunInfo(
        version="0",
        created="2026-01-31T12:00:00Z",
        dump=DumpReference(name="d", path="/d", digest="0" * 64, n_latents=8),
        explain=ExplainStage(model=ModelSettings.model_validate("m"), settings=ExplainSettings(), prompts={}),
    )
    (folder / "run.json").write_text(info.model_dump_json())
    asked = [Exchange(key=key(n)[:16], task="judge", model="m", turns=(), replies=()) for n in numbers]
    (folder / "exchanges.jsonl").write_text(packed(3, "score", "2026-01-31T12:00:00Z", asked).model_dump_json() + "\n")
    return str(folder)


FIRST, SECOND = 0x11 << 248, 0x22 << 248


def test_the_answers_that_a_run_was_given_are_counted_and_removed(tmp_path):
    put(tmp_path, {key(FIRST): ANSWER, key(SECOND): ANSWER, f"completion:{key(FIRST)}": {"text": "x"}})
    run = a_run_that_was_given(tmp_path / "run", FIRST, 0x33 << 248)

    (share,) = jobs.info(CacheInfo(cache=tmp_path, runs=(run,))).runs
    done = jobs.prune(CachePrune(cache=tmp_path, runs=(run,)))

    assert (share.n, share.missing) == (1, 1)
    assert {p.kind: p.n for p in done.removed} == {"answers": 1, "batch replies": 1}
    with Cache(tmp_path) as cache:
        assert cache.get(key(SECOND)) == ANSWER
        assert cache.get(key(FIRST)) is None


def test_info_counts_generated_pictures_and_prune_leaves_them(cache):
    store = PictureStore(cache / "pictures")
    sha256 = store.put(b"a picture of ten bytes", "PNG")

    parts = {part.kind: (part.n, part.size) for part in jobs.info(CacheInfo(cache=cache)).parts}
    jobs.prune(CachePrune(cache=cache, pictures=True))

    assert parts["generated pictures"] == (1, 22)
    assert store.read(sha256) is not None
