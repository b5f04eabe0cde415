import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from report_pages import HOSTILE, Page, page_of
from report_world import World, explained, failed, feature_of, scored, separation, unscored, verdict

from autointerp.errors import DumpError, RunError
from autointerp.reports.page import write_report
from autointerp.schema import Control, DomainFinding, Feature


def rows_of(page: Page) -> list[dict[str, str | None]]:
    return [attrs for attrs in page.all("tr") if "data-feature" in attrs]


def hostile_world(text: str) -> World:
    finding = DomainFinding(domain=text, found=True, text=text, category=text, images=(), observations=text)
    return World(
        title=text,
        notes=(text,),
        label=text,
        explanations=[
            explained(1, text, concepts=(text, text), lookalikes=text, candidates=(text,), domain=finding, model=text),
            explained(2, text, mixed=True, concepts=(text, text), prompt=text, created=text),
        ],
        scores=[
            scored(1, 0.5, text, details={text: text}, controls={text: Control(value=0.1)}, judge=text, prompt=text),
            unscored(1, "accuracy", text),
        ],
        failures=[failed(3, text, text, text, created=text), failed(3, "explain", text, text)],
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_tag_and_no_attribute(text: str, tmp_path: Path):
    plain = page_of(hostile_world("harmless"), tmp_path)

    page = page_of(hostile_world(text), tmp_path)

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attrs) for _, attrs in page.tags] == [sorted(attrs) for _, attrs in plain.tags]
    assert page.scripts[2] == plain.scripts[2]
    assert json.loads(page.scripts[1])["rows"][0][2] == text


def test_text_that_looks_like_a_template_is_not_filled(tmp_path: Path):
    page = page_of(World(explanations=[explained(1, "{{7*7}}")]), tmp_path)

    at_the_top_in_the_table_and_on_the_card = page.text.count("{{7*7}}")
    assert at_the_top_in_the_table_and_on_the_card == 3


def test_the_policy_allows_the_one_script_and_nothing_from_outside(world: World, tmp_path: Path):
    page = page_of(world, tmp_path)

    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    code = page.scripts[-1]
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert policy is not None
    assert policy.split("; ")[:4] == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
    ]
    assert len(page.scripts) == 3


def test_nothing_refers_to_another_file(world: World, tmp_path: Path):
    world.explanations = [explained(1)]

    page = page_of(world, tmp_path)

    links = [attrs[name] for _, attrs in page.tags for name in ("src", "href") if name in attrs]
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\(|@import|https?:", (tmp_path / "report.html").read_text())


def test_each_distinct_picture_is_made_and_stored_once(world: World, tmp_path: Path):
    # Two features over the same images: 4 active ones whole and 2 cropped, 4 silent ones whole.
    world.explanations = [explained(1), explained(2)]

    info = write_report(world.data(), tmp_path / "r.html", limit=200)

    page = Page((tmp_path / "r.html").read_text())
    pictures = json.loads(page.scripts[0])
    assert info.pictures == len(pictures) == len(set(pictures.values())) == len(world.rendered) == 10
    places = [attrs["data-p"] for attrs in page.all("img")]
    assert set(places) == set(pictures)
    on_cards_in_the_table_and_at_the_top = 2 * (10 + 2 + 2)
    assert len(places) == on_cards_in_the_table_and_at_the_top


def test_pictures_are_the_renderers_bytes(world: World, tmp_path: Path):
    world.explanations = [explained(1)]

    page = page_of(world, tmp_path)

    first = next(iter(json.loads(page.scripts[0]).values()))
    assert base64.b64decode(first).startswith(b"\xff\xd8\xff")


def test_a_picture_that_cannot_be_decoded_is_marked_and_the_rest_stands(world: World, tmp_path: Path):
    world.explanations = [explained(1, images=(0,))]
    world.broken = {4}

    info = write_report(world.data(), tmp_path / "r.html", limit=200)

    page = Page((tmp_path / "r.html").read_text())
    broken = [attrs for attrs in page.all("span") if attrs.get("class") == "broken"]
    assert info.broken == 1
    assert [attrs["aria-label"] for attrs in broken] == [
        "Image 4, labelled wheel, activation 0.00: could not be decoded"
    ]
    assert "1 picture could not be decoded and is marked so" in page.text


def test_every_picture_has_words(world: World, tmp_path: Path):
    world.explanations = [explained(1)]

    page = page_of(world, tmp_path)

    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(attrs.get("aria-label") or "aria-hidden" in attrs for attrs in page.all("svg"))


def test_a_limit_takes_good_and_bad_alike_and_says_so(world: World, tmp_path: Path):
    # Scores 0.1, 0.2 … 0.9 and one feature without: three of ten, the worst, the median and the best.
    world.explanations = [explained(n) for n in range(10)]
    world.scores = [scored(n, n / 10) for n in range(1, 10)]

    page = page_of(world, tmp_path, limit=3)

    assert [row["data-feature"] for row in rows_of(page)] == ["1", "5", "9"]
    assert "3 of 10 features have a row and a card" in page.text
    assert "not the best ones" in page.text
    assert "mean over 9 features" in page.text


def test_without_a_limit_reached_all_have_a_card(world: World, tmp_path: Path):
    world.explanations = [explained(1), explained(2)]
    world.failures = [failed(3)]

    page = page_of(world, tmp_path)

    assert [row["data-feature"] for row in rows_of(page)] == ["1", "2", "3"]
    assert [row["data-state"] for row in rows_of(page)] == ["one", "one", "failed"]
    assert "All 3 features have a row and a card." in page.text


def test_an_unscored_feature_shows_why_and_no_number(world: World, tmp_path: Path):
    world.explanations = [explained(1), explained(2)]
    world.scores = [unscored(1, reason="3 held-out images of 5"), scored(2, 0.75)]

    page = page_of(world, tmp_path)

    # The table is sorted by the lower bound.
    assert [row["data-s0"] for row in rows_of(page)] == ["", "0.65"]
    assert "mean over 1 feature" in page.text
    assert "3 held-out images of 5" in page.text
    assert "1 unscored and left out, not counted as zero (their cards say why)" in page.text


def test_a_score_failure_marks_the_feature_as_failing_but_explained(world: World, tmp_path: Path):
    world.explanations = [explained(1)]
    world.failures = [failed(1, "score:detection", "rate_limited", "429")]

    (row,) = rows_of(page_of(world, tmp_path))

    assert row["data-state"] == "one"
    assert "data-failing" in row


def test_misfits_and_the_judges_errors_are_shown(world: World, tmp_path: Path):
    world.explanations = [explained(1, images=(0, 1), misfits=(1,))]
    verdicts = (
        verdict(2, active=True, belief=0.0),
        verdict(3, active=True, belief=1.0),
        verdict(4, active=False, belief=1.0),
        verdict(5, active=False, belief=0.5),
    )
    world.scores = [scored(1, 0.5, verdicts=verdicts)]

    page = page_of(world, tmp_path)

    assert "the explainer says 1 of 2 do not fit" in page.text
    told = [attrs["alt"] for attrs in page.all("img") if "judge" in str(attrs["alt"])]
    assert told == [
        "Image 4, labelled wheel, activation 0.00, judge: yes",
        "Image 2, labelled wheel, activation 2.00, judge: no",
    ]


def test_a_scorer_that_asks_about_active_images_only_shows_no_false_alarms(world: World, tmp_path: Path):
    world.explanations = [explained(1)]
    world.scores = [scored(1, 0.5, "accuracy", verdicts=(verdict(2, active=True, belief=0.0),))]

    page = page_of(world, tmp_path)

    assert "Silent, but the judge said yes" not in page.text


def test_an_empty_run_still_gives_a_page(world: World, tmp_path: Path):
    page = page_of(world, tmp_path)

    assert "No feature has been explained yet." in page.text
    assert "Nothing failed." in page.text


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(world: World, tmp_path: Path):
    out = tmp_path / "report.html"
    out.write_text("old")
    world.explanations = [explained(1), explained(2)]

    def missing(number: int) -> Feature:
        if number == 2:
            raise DumpError("there is no feature 2")
        return feature_of(number)

    world.feature = missing

    with pytest.raises(DumpError, match="no feature 2"):
        write_report(world.data(), out, limit=200)

    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_one_line_with_a_remedy(world: World, tmp_path: Path):
    with pytest.raises(RunError, match=r"no-folder.*--out"):
        write_report(world.data(), tmp_path / "no-folder" / "r.html", limit=200)


def test_the_same_run_gives_the_same_file(world: World, tmp_path: Path):
    world.explanations = [explained(n) for n in range(6)]
    world.scores = [scored(n, n / 10) for n in range(6)]

    sizes = [write_report(world.data(), tmp_path / name, limit=4).size for name in ("a", "b")]

    assert sizes[0] == sizes[1] == (tmp_path / "a").stat().st_size
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_where_an_open_file_cannot_be_given_a_name_the_page_is_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise OSError

    world.explanations = [explained(n) for n in range(6)]
    write_report(world.data(), tmp_path / "a", limit=4)
    monkeypatch.setattr("os.link", refuse)
    write_report(world.data(), tmp_path / "b", limit=4)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_relevance_is_a_share_of_features_and_a_models_word_has_no_axis(world: World, tmp_path: Path):
    # By the model: 1 of 2. By label: 1 of 2 at 95 % or more.
    seen = {"observations": "a cup without a table"}
    finding = DomainFinding(domain="physics", found=True, text="it floats", category="gravity", images=(), **seen)
    nothing = DomainFinding(domain="physics", found=False, text="", category="none", images=())
    world.explanations = [explained(1, domain=finding), explained(2, domain=nothing)]
    world.scores = [
        scored(1, 1.0, "relevance", details={"form": "lmm", "label_share": 0.96}, controls={}),
        scored(2, 0.0, "relevance", details={"form": "lmm", "label_share": 0.5}, controls={}),
    ]

    page = page_of(world, tmp_path)

    assert page.text.count("1 of 2 features") == 2
    assert page.text.count("50.0 %") == 2
    assert "mean over 2 features" in page.text
    assert page.text.count("a cup without a table") == 1
    titles = [cell["title"] for cell in page.all("td") if "score" in str(cell.get("class"))]
    assert titles == ["the second pass's word", "the second pass's word"]


def test_mean_controls_stand_beside_the_mean(world: World, tmp_path: Path):
    world.explanations = [explained(1), explained(2)]
    world.scores = [scored(n, 0.5, controls={"always_yes": Control(value=n / 10)}) for n in (1, 2)]

    page = page_of(world, tmp_path)

    assert "controls: always yes 0.15" in page.text


def test_a_scorer_that_scored_nothing_has_no_column(world: World, tmp_path: Path):
    world.explanations = [explained(1)]
    world.scores = [scored(1, 0.5), unscored(1, "relevance", "no attribute")]

    (row,) = rows_of(page_of(world, tmp_path))

    assert "data-s0" in row
    assert "data-s1" not in row


def banner_classes(page: Page) -> list[str]:
    return [str(attrs["class"]) for attrs in page.all("aside") if "banner" in str(attrs.get("class"))]


def test_whether_the_controls_separate_is_the_first_thing_on_the_page(world: World, tmp_path: Path):
    world.explanations, world.scores = [explained(1)], [scored(1, 0.5)]
    world.separations = (separation("constant", "does not separate", value=0.6, difference=0.0, p=0.5),)

    page = page_of(world, tmp_path)

    tags = [tag for tag, _ in page.tags]
    assert banner_classes(page) == ["banner bad"]
    assert tags.index("aside") < tags.index("h1")
    assert page.text.index("do not beat every negative control") < page.text.index("A run", page.text.index("Skip to"))


def test_a_scored_run_without_controls_says_so_and_an_unscored_one_has_nothing_to_say(world: World, tmp_path: Path):
    world.explanations = [explained(1)]
    before = page_of(world, tmp_path)
    world.scores = [scored(1, 0.5)]

    after = page_of(world, tmp_path)

    assert banner_classes(before) == []
    assert banner_classes(after) == ["banner none"]
    assert "These scores have no negative controls." in after.text


def test_each_control_has_a_row_under_the_detection_figure_with_difference_interval_and_p(world: World, tmp_path: Path):
    world.explanations, world.scores = [explained(1)], [scored(1, 0.5)]
    world.separations = (separation("constant"), separation("neighbour", difference=0.02, low=0.01, high=0.03, p=0.04))

    page = page_of(world, tmp_path)

    drawn = [str(attrs.get("aria-label")) for attrs in page.all("svg")]
    assert "“an image”: 0.10, own 0.60" in drawn
    words = " ".join(page.text.split())
    assert "“an image” scores lower 20 features 0.10 0.60 +0.50 0.40 to 0.62 < .001" in words
    assert "+0.02 0.01 to 0.03 .040" in words


def test_a_card_shows_figures_controls_and_doubts_and_the_fold_out_the_rest(world: World, tmp_path: Path):
    details = {
        "recall": 0.75,
        "recall_low": 0.5,
        "recall_high": 0.9,
        "p_constant": 0.0001,
        "unanswered": 1,
        "f1_worst": 0.45,
        "f1_best": 0.52,
        "unsure": 7,
    }
    world.explanations = [explained(1)]
    world.scores = [scored(1, 0.5, details=details, controls={"constant": Control(value=0.02, low=0.0, high=0.05)})]

    words = " ".join(page_of(world, tmp_path).text.split())

    card = words[words.index("Feature 1 fires on") :]
    shown, folded = card.split("How it came about")
    for said in (
        "recall 0.75 0.50 to 0.90",
        "text “an image” 0.02 0.00 to 0.05 p < .001",
        "1 of 20 judgements got no usable answer; the interval covers their worst case, 0.45,",
    ):
        assert said in shown
    assert "unsure 7" in folded
    assert "f1 worst" not in folded


def test_the_best_is_the_one_with_the_highest_lower_bound_and_an_undetermined_one_has_no_rank(
    world: World, tmp_path: Path
):
    world.explanations = [explained(n) for n in (1, 2, 3, 4)]
    world.scores = [
        scored(1, 1.0, low=0.1, high=1.0),
        scored(2, 0.9, low=0.5, high=0.95),
        scored(3, 0.7, low=0.6, high=0.8),
        scored(4, 0.3, low=0.2, high=0.4),
    ]

    page = page_of(world, tmp_path)

    words = " ".join(page.text.split())
    assert "Best F1, of 3 ranked 0.70" in words
    assert "Median F1, of 3 ranked 0.90" in words
    assert "Worst F1, of 3 ranked 0.30" in words
    assert [row["data-s0"] for row in rows_of(page)] == ["", "0.5", "0.6", "0.2"]
    # (1 + .9 + .7 + .3) / 4 = .725, and without the first .633.
    told = "1 undetermined, with an interval wider than 0.5: the mean of the others is 0.63"
    assert words.count(told) == 2  # beside the headline at the top, and in the summary
