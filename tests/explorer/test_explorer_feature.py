"""The page of a feature holds all that is known of it, and lets no text be more than text."""

import re
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
from explorer.explorer_world import HOSTILE, asking, hostile, opened, picture, write_dump, write_run
from PIL import Image
from report.report_world import explained, failed, scored
from starlette.testclient import TestClient

from autointerp.candidates import Candidate, Cluster, Sampled
from autointerp.explorer.viewed import Viewed
from autointerp.lmm.images.store import FOLDER, PictureStore
from autointerp.runs.folder import RunWriter, open_run
from autointerp.schema import Counterfactual, DomainFinding, Generated, Reencoded


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    with hostile(tmp_path_factory.mktemp("world")) as what:
        assert what.reversing.reverse(60) is not None
        yield what


@pytest.fixture
def ask(explorer: Viewed) -> TestClient:
    return asking(explorer)


def text_of(ask: TestClient, address: str) -> str:
    answer = ask.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_it_shows_the_scores_of_every_judging(ask: TestClient):
    page = text_of(ask, "/feature/0")

    assert page.count("Detection, weighted F1</span> <b>0.50</b>") == 1
    assert page.count("Detection, weighted F1</span> <b>0.75</b>") == 1
    assert re.findall(r"judged by <bdi>([^<]+)</bdi> · n = 20", page) == ["judge-1@first", "judge-1@again"]


def test_it_shows_where_the_judge_was_wrong_and_unsure_and_for_how_many_images_each_stands(ask: TestClient):
    page = text_of(ask, "/feature/0")
    wrong = page[page.index("Where the judge was wrong or unsure") :]

    assert "Active, but the judge said no" in wrong
    assert "no ×12.50" in wrong
    assert "Unsure" in wrong
    assert "unsure ×40.00" in wrong
    assert "Silent, but the judge said yes" not in wrong


def test_it_shows_bands_what_the_explainer_saw_and_the_histogram(ask: TestClient):
    page = text_of(ask, "/feature/0")
    titles = re.findall(r"<h4>([^<]+?) <span", page)

    rows = ["Top activations", "Band q1", "Silent, drawn uniformly", "Shown as active", "Shown as silent, for contrast"]
    assert titles[:5] == rows
    assert page.count("<rect x=") == 49  # The first of fifty bins is empty.
    # The strongest first.
    assert re.findall(r"/picture/crop/0/(\d)\.jpg", page)[:3] == ["0", "1", "2"]


def test_a_dump_alone_has_its_pictures(tmp_path: Path):
    with hostile(tmp_path, run=False) as what:
        page = text_of(asking(what), "/feature/0")

    assert "This is a dump alone" in page
    assert "Top activations" in page
    assert "Detection" not in page


def test_an_explanation_that_came_meanwhile_is_there_on_reload(tmp_path: Path):
    with hostile(tmp_path) as what:
        ask = asking(what)
        before = text_of(ask, "/feature/3")
        with RunWriter(tmp_path / "run", open_run(tmp_path / "run").info) as writer:
            writer.explanation(explained(3, "a corner of late"))
            writer.score(scored(3, 0.25))
        after = text_of(ask, "/feature/3")

    assert "Not explained yet." in before
    assert "a corner of late" in after
    assert "<b>0.25</b>" in after


def sampled() -> Sampled:
    """Two meanings kept of three, each said once."""
    texts = ("red circle", "blue square", "a shape")
    return Sampled(
        asked=3,
        none=0,
        failed=0,
        candidates=tuple(Candidate(text=t, concepts=(t,), images=(0,), score=0.5, p=0.004) for t in texts),
        clusters=tuple(Cluster(members=(i,), best=i, score=0.5, p=0.004, kept=i < 2) for i in range(3)),
        collapse=0.0,
        beats_chance=True,
        judged_on=(3,),
    )


def test_it_shows_meanings_domain_and_failures(tmp_path: Path):
    found = DomainFinding(domain="physics", found=True, text="it floats", category="gravity", images=(0,))
    with hostile(tmp_path) as what:
        with RunWriter(tmp_path / "run", open_run(tmp_path / "run").info) as writer:
            writer.explanation(explained(3, "red circle or blue square", sampled=sampled(), domain=found))
            writer.failure(failed(3, "score:detection", kind="refused", message="I would rather not."))
        page = text_of(asking(what), "/feature/3")

    assert "2 of 3 meanings, 3 candidates sampled" in page
    assert "Meanings not kept (1)" in page
    assert "<b>physics:</b> <bdi>it floats</bdi>" in page
    assert "score:detection failed: refused" in page
    assert "I would rather not." in page


def test_the_features_beside_it_are_those_of_the_list(ask: TestClient):
    def beside(address: str) -> list[str]:
        return re.findall(r'<a rel="(?:prev|next)" href="([^"]+)"', text_of(ask, address))

    assert beside("/feature/1") == ["/feature/0", "/feature/3"]
    assert beside("/feature/7") == ["/feature/3"]
    query = "?sort=feature&amp;down=1"
    assert beside("/feature/1?sort=feature&down=1") == [f"/feature/3{query}", f"/feature/0{query}"]


def test_related_features_are_parents_children_and_those_that_fire_together(ask: TestClient):
    broad, narrow = text_of(ask, "/feature/0/related"), text_of(ask, "/feature/3/related")

    assert "Children" in broad
    assert "Parents" not in broad
    assert "Parents" in narrow
    assert "Children" not in narrow
    # Image 0 in both rows for certain, image 2 in each with chance 0.5: 1 + 4 of sqrt(9 * 9) images.
    assert "cosine 0.56, at least 0.22 · 2 stored images shared" in broad
    # Feature 1 shares image 0 alone.
    assert "cosine 0.11, at least 0.11 · 1 stored image shared" in broad


def test_related_features_come_by_themselves_while_the_dump_is_being_indexed(
    explorer: Viewed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(type(explorer.reversing), "reverse", lambda self, wait: None)
    page = text_of(asking(explorer), "/feature/0/related")

    assert 'id="loaded" data-again' in page
    assert 'http-equiv="refresh"' in page
    assert "Children" in page


def test_questions_and_replies_are_shown_as_they_were(ask: TestClient):
    page = text_of(ask, "/feature/0/exchanges")

    assert "Questions as they were sent, and replies (2)" in page
    assert "picture 1: image 0" in page
    assert "The run kept no question of this feature." in text_of(ask, "/feature/1/exchanges")


ADDRESSES = [
    *("/feature/0", "/feature/7", "/feature/0/related", "/feature/0/exchanges", "/feature/99"),
    "/feature/7/related",
    *("/image", "/image/0", "/image/5", f"/feature/0?q={HOSTILE}"),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_has_a_script_or_a_style_of_its_own_or_a_text_that_is_markup(ask: TestClient, address: str):
    page = ask.get(address).text

    assert re.findall(r"<script(?! src=\"/static/[a-z]+\.js\" defer></script>)", page) == []
    assert re.findall(r"<[^>]* style=|<style|<[^>]* on[a-z]+=\"", page) == []
    assert 'id="forged"' not in page
    assert "id=forged>" not in page


@pytest.mark.parametrize(
    "number", ["2", "8", "-1", str(2**31), str(2**63), "9" * 200, "0x1", "1.5", "٣", "%2e%2e", "..%2f..", "%00", "abc"]
)
@pytest.mark.parametrize("path", ["/feature/{}", "/feature/{}/related", "/feature/{}/exchanges", "/image/{}"])
def test_what_is_not_there_is_not_found_in_plain_words(ask: TestClient, path: str, number: str):
    if path == "/image/{}" and number == "2":
        return
    answer = ask.get(path.format(number))

    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


def test_it_shows_pictures_made_of_the_explanation_and_painted_pairs_from_the_run_s_own_folder(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    store = PictureStore(run / FOLDER)
    lime, blue = (store.put(picture(colour), "PNG") for colour in ("lime", "blue"))
    made = {"picture": lime, "width": 80, "height": 60, "prompt": HOSTILE, "style": "drawing", "heat": "ff000000"}
    pair = Counterfactual(image=1, box=(0, 0, 40, 30), how="edited", activation=0.25, picture=blue, size=(80, 60))
    with RunWriter(run, open_run(run).info) as writer:
        said = explained(0, "red", images=(0, 1), contrast=(3,))
        writer.explanation(said.model_copy(update={"counterfactuals": (pair,)}))
        found = Generated.model_validate(made | {"activation": 2.0, "fires": True})
        writer.score(scored(0, 0.9, "generation", generated=(found,)))

    with opened(run, cache=tmp_path / "cache") as what:
        ask = asking(what)
        page = text_of(ask, "/feature/0")
        addresses = [unescape(address) for address in re.findall(r'src="(/picture/(?:stored|heat\.png)[^"]*)"', page)]
        answers = {address: ask.get(address) for address in addresses}

    assert [address.split("?")[0] for address in addresses] == [
        f"/picture/stored/{blue}.jpg",
        f"/picture/stored/{lime}.jpg",
        "/picture/heat.png",
    ]
    kinds = [answer.headers["content-type"] for answer in answers.values()]
    assert kinds == ["image/jpeg", "image/jpeg", "image/png"]
    corners = [Image.open(BytesIO(answers[a].content)).convert("RGB").getpixel((4, 4)) for a in addresses[:2]]
    assert corners[0][2] > 200 > corners[0][1]
    assert corners[1][1] > 200 > corners[1][2]
    assert "drawing: fires, 2.00" in page
    assert "#1 without: 0.25" in page
    assert HOSTILE not in page


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"stored/{'0' * 64}.jpg", 200),
        (f"stored/{'0' * 63}.jpg", 404),
        ("stored/..%2f..%2frun.json.jpg", 404),
        ("heat.png?heat=ff0000", 404),
        ("heat.png?heat=ff00000g", 404),
        ("heat.png?heat=ff000000", 200),
    ],
)
def test_only_pictures_by_their_digest_and_heat_maps_of_the_dump_s_grid_are_served(
    ask: TestClient, address: str, status: int
):
    answer = ask.get(f"/picture/{address}")

    assert answer.status_code == status
    if status == 200 and "stored" in address:
        assert answer.headers["content-type"] == "image/svg+xml"


def test_it_shows_what_the_network_did_and_the_pairs_that_the_explainer_saw(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    levels = {"activation": 4.0, "crop": 3.0, "mean": 0.0, "blur": 0.0, "inpaint": 0.0}
    put = {"into": 3, "at": (10, 10, 50, 40), "pasted": 2.0}
    found = Reencoded.model_validate({"image": 0, "box": (0, 0, 40, 30), **levels, **put})
    pair = Counterfactual(image=1, box=(0, 0, 40, 30), how="inpaint", activation=0.25)
    with RunWriter(run, open_run(run).info) as writer:
        said = explained(0, "red", images=(0, 1), contrast=(3,))
        writer.explanation(said.model_copy(update={"counterfactuals": (pair,)}))
        writer.score(scored(0, 0.9, "causal", reencoded=(found,)))

    with opened(run, cache=tmp_path / "cache") as what:
        ask = asking(what)
        page = text_of(ask, "/feature/0")
        made = [
            unescape(a)
            for a in re.findall(r'<img class="pixels" loading="lazy"[^>]*? src="(/picture/altered/[^"]*)"', page)
        ]
        answers = [ask.get(address) for address in made]

    assert [address.split("&v=")[0] for address in made] == [
        "/picture/altered/inpaint/1.jpg?box=0,0,40,30",
        "/picture/altered/crop/0.jpg?box=0,0,40,30",
        "/picture/altered/mean/0.jpg?box=0,0,40,30",
        "/picture/altered/paste/0.jpg?box=0,0,40,30&into=3&at=10,10,50,40",
    ]
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)
    assert "alone: fires, 3.00" in page
    assert "#1 without: 0.25" in page
