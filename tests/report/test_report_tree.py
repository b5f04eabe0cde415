from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from report_pages import HOSTILE, Page, page_of
from report_world import World, explained, failed, scored, unscored, verdict

from autointerp.reports.cards import gather
from autointerp.reports.parents import Kinship
from autointerp.reports.tree import MAX_CHILDREN, MAX_NODES, MAX_ROOTS, Branch, plan_tree

WIDTHS = (100, 1000, 10_000)


def kinship(closest: dict[int, int]) -> Kinship:
    children = sorted(closest)
    return Kinship(np.array(children, np.int32), np.array([closest[c] for c in children], np.int32), {}, Counter())


def shape(branches: tuple[Branch, ...]) -> dict[int, dict]:
    return {b.feature: shape(b.children) for b in branches}


def plan(closest: dict[int, int], known: set[int] | None = None):
    features = known if known is not None else {*closest, *closest.values()}
    return plan_tree(kinship(closest), np.array(sorted(features)), WIDTHS)


def test_children_stand_under_their_parents_and_theirs_under_them():
    found = plan({100: 1, 101: 1, 102: 2, 1000: 101})

    assert shape(found.branches) == {1: {101: {1000: {}}, 100: {}}, 2: {102: {}}}
    assert (found.n_roots, found.n_below) == (2, 4)


def test_a_feature_without_a_parent_is_a_root_in_any_prefix_after_those_of_the_smallest():
    # 200 has three children and 1 has one.
    found = plan({100: 1, 1000: 200, 1001: 200, 1002: 200})

    assert list(shape(found.branches)) == [1, 200]


def test_features_of_the_run_come_before_those_that_only_lead_to_one():
    found = plan({100: 1, 101: 1, 102: 2}, known={2, 100, 101, 102})

    assert list(shape(found.branches)) == [2, 1]


def test_of_too_many_roots_those_with_most_under_them_stay():
    # Roots 0 to 69 of one child each, and 99 of two.
    found = plan({100 + n: n for n in range(70)} | {500: 99, 501: 99})

    roots = [b.feature for b in found.branches]
    assert len(roots) == MAX_ROOTS
    assert roots == [99, *range(59)]
    assert found.n_roots == 71


def test_of_too_many_children_those_with_most_under_them_stay_and_all_are_counted():
    found = plan({100 + n: 1 for n in range(20)} | {1000: 119})

    (root,) = found.branches
    assert [b.feature for b in root.children] == [119, *range(100, 111)]
    assert (root.n_children, len(root.children)) == (20, MAX_CHILDREN)


def test_a_level_that_finds_little_room_shares_it_evenly():
    # 60 roots and 12 under each leave 720 of 1,500 for the third level: one for each of 720 parents.
    closest = {100 + 15 * r + c: r for r in range(60) for c in range(12)}
    closest |= {1000 + 12 * n + i: parent for n, parent in enumerate(sorted(closest)) for i in range(12)}

    found = plan(closest)

    assert len(found.features()) == 60 + 720 + 720 == MAX_NODES
    assert {len(b.children) for root in found.branches for b in root.children} == {1}


def family_world() -> World:
    """1 and 2 of the first prefix; 4 under 1, 5 under 2 and 1; 9 under 4."""
    return World(
        widths=(4, 8, 16),
        parents={4: (1,), 5: (2, 1), 9: (4, 2)},
        explanations=[
            explained(1, "wheels"),
            explained(2, "water"),
            explained(4, "red wheels", parents=(1,)),
            explained(5, "waves", parents=(2,)),
            explained(9, "", parents=()),
        ],
        scores=[scored(1, 0.5), scored(2, 0.25, low=0.2, high=0.4), unscored(4)],
    )


def section(page: Page) -> str:
    words = " ".join(page.text.split())
    return words[words.index("Unfold all") : words.index("All at a glance")]


def card(page: Page, feature: int) -> str:
    words = " ".join(page.text.split())
    return words[words.index(f"Feature {feature} ", words.index("Open all details")) :].split("Top activations")[0]


def test_the_tree_stands_between_summary_and_table_with_widths_and_scores(tmp_path: Path):
    page = page_of(family_world(), tmp_path)

    parts = [attrs["id"] for attrs in page.all("section") if "id" in attrs]
    assert parts[:3] == ["summary", "tree", "features"]
    assert {"href": "#tree"} in page.all("a")
    assert (
        section(page)
        .strip()
        .endswith(
            "1 wheels width 4 · 1 under it 0.50 0.40 to 0.60"
            " 4 red wheels width 8 · 1 under it"
            " 9 no common property width 16"
            " 2 water width 4 · 1 under it 0.25 0.20 to 0.40"
            " 5 waves width 8"
        )
    )


def test_the_tree_says_what_its_number_is(tmp_path: Path):
    page = page_of(family_world(), tmp_path)

    assert "Its number is “Detection, weighted F1”, with its 95 % interval." in section(page)


def test_without_scores_the_tree_has_no_numbers(tmp_path: Path):
    world = family_world()
    world.scores = []

    assert "number" not in section(page_of(world, tmp_path))


def test_without_parents_there_is_no_tree_and_nothing_on_the_cards(tmp_path: Path):
    world = family_world()
    world.parents = {}

    page = page_of(world, tmp_path)

    assert "tree" not in [attrs.get("id") for attrs in page.all("section")]
    assert {"href": "#tree"} not in page.all("a")
    assert "Within" not in page.text
    assert "Narrower" not in page.text


def test_a_card_names_its_parents_whether_the_explainer_was_told_and_its_children(tmp_path: Path):
    page = page_of(family_world(), tmp_path)

    assert "Within The explainer was told of it. 1 wheels width 4" in card(page, 4)
    assert "Narrower 9 no common property width 16" in card(page, 4)
    assert "Within The explainer was told of 2 only. 2 water width 4 1 wheels width 4" in card(page, 5)
    assert "Within The explainer was not told of them. 4 red wheels width 8 2 water width 4" in card(page, 9)
    assert "Narrower 4 red wheels width 8 5 waves width 8" in card(page, 1)


def test_features_without_a_card_are_named_without_a_link(tmp_path: Path):
    # By the ranks of the score: 4 and 2 have one. The tree and the card of 4 name 1, which has none.
    world = family_world()
    world.scores = [scored(4, 0.0), scored(1, 0.1), scored(5, 0.2), scored(9, 0.3), scored(2, 0.9)]

    page = page_of(world, tmp_path, limit=2)

    links = {str(attrs["href"]) for attrs in page.all("a")}
    assert "Within The explainer was told of it. 1 wheels width 4 Narrower 1 without a card here" in card(page, 4)
    assert "1 wheels width 4 · 1 under it 0.10" in section(page)
    assert {link for link in links if link[2:].isdigit()} == {"#f2", "#f4"}
    assert "Narrower 2 without a card here" in card(page, 2)


def test_a_failed_parent_is_named_as_failed(tmp_path: Path):
    world = family_world()
    world.explanations = [e for e in world.explanations if e.feature != 1]
    world.failures = [failed(1)]

    page = page_of(world, tmp_path)

    assert "1 failed width 4" in card(page, 4)
    assert "1 failed width 4 · 1 under it" in section(page)


def test_a_small_tree_is_unfolded_and_a_large_one_folded_and_says_what_it_leaves_out(tmp_path: Path):
    world = family_world()
    small = page_of(world, tmp_path)
    world.widths, world.parents = (4, 8, 500), {n: (n % 4,) for n in range(8, 108)}
    world.explanations = [explained(n) for n in range(108)]

    large = page_of(world, tmp_path, limit=1)

    assert all("open" in attrs for attrs in small.all("details")[:3])
    assert not any("open" in attrs for attrs in large.all("details")[:4])
    # Four roots of 25 children, of which 12 are shown.
    assert "52 of 104 features are shown: 4 of 4 at the top and at most 12 under each" in section(large)
    assert section(large).count("and 13 more") == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_explanations_add_no_tag_to_tree_and_cards(text: str, tmp_path: Path):
    pages = []
    for said in ("harmless", text):
        world = family_world()
        world.explanations = [explained(n, said) for n in (1, 2, 4, 5, 9)]
        pages.append(page_of(world, tmp_path))

    plain, page = pages
    assert [(tag, sorted(attrs)) for tag, attrs in page.tags] == [(tag, sorted(attrs)) for tag, attrs in plain.tags]


def test_verdicts_are_kept_only_of_features_with_a_card(tmp_path: Path):
    world = family_world()
    seen = (verdict(2, active=True, belief=1.0),)
    world.scores = [scored(n, 0.5, scorer, verdicts=seen) for n in (1, 4) for scorer in ("detection", "accuracy")]

    found = gather(world.data(), {4}, {1}, "detection")

    assert sorted(found) == [1, 4]
    assert found[1].scores == {"detection": scored(1, 0.5)}
    assert found[4].scores == {name: scored(4, 0.5, name, verdicts=seen) for name in ("detection", "accuracy")}
