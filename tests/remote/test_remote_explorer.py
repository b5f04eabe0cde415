"""The explorer over an object store: the dump is read where it lies, the run is fetched once."""

from pathlib import Path

import pytest
from explorer.explorer_world import asking, opened, write_dump, write_run
from remote.stores import upload

PAGES = ("/", "/?q=wheel", "/feature/0", "/overview", "/image", "/image/0", "/picture/face/0/0.jpg")


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_run_and_its_dump_at_a_url_are_shown_as_those_in_a_folder(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
):
    dump = write_dump(tmp_path / "dump")
    run, url = write_run(tmp_path / "run", dump), request.getfixturevalue(store)
    there = (upload(run, f"{url}/run"), upload(dump, f"{url}/dump"))

    answers = []
    for number, (of, its_dump) in enumerate(((str(run), str(dump)), there)):
        with opened(of, dump=its_dump, cache=tmp_path / f"cache-{number}") as what:
            answers.append([asking(what).get(page) for page in PAGES])

    for page, here, remote in zip(PAGES, *answers, strict=True):
        assert (here.status_code, remote.status_code) == (200, 200), page
        assert here.headers["content-type"] == remote.headers["content-type"]
    assert answers[0][-1].content == answers[1][-1].content


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_dump_at_a_url_is_shown(store: str, request: pytest.FixtureRequest, tmp_path: Path):
    url = upload(write_dump(tmp_path / "dump"), f"{request.getfixturevalue(store)}/dump")

    with opened(url, cache=tmp_path / "cache") as what:
        asked = asking(what)

        assert [asked.get(page).status_code for page in ("/", "/feature/0", "/picture/face/0/0.jpg")] == [200] * 3
