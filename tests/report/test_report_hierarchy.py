from collections import Counter
from pathlib import Path

import pytest
from report_pages import HOSTILE, Page, page_of
from report_world import World, explained, failed, scored, unscored

from autointerp.reports.aggregates import aggregate
from autointerp.reports.hierarchy import (
    MAX_CHILDREN,
    MAX_NODES,
    MAX_PARENTS,
    MAX_ROOTS,
    MAX_UNDER,
    Branch,
    Hierarchy,
    Parents,
    Tree,
    plan_tree,
    told_text,
)
from autointerp.reports.records import Records

WIDTHS = (100, 1000, 10_000)


def shape(branches: tuple[Branch, ...]) -> dict[int, dict]:
    return {b.feature: shape(b.children) for b in branches}


def plan(closest: dict[int, int], known: set[int] | None = None) -> Tree:
    features = known if known is not None else {*closest, *closest.values()}
    return plan_tree(Parents(dict(sorted(closest.items())), {}, Counter()), features, WIDTHS)


def test_children_stand_under_their_parents_and_theirs_under_them():
    found = plan({100: 1, 101: 1, 102: 2, 1000: 101})

    assert shape(found.branches) == {1: {101: {1000: {}}, 100: {}}, 2: {102: {}}}
    assert (found.n_roots, found.n) == (2, 6)


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
    assert (root.n_children, len(root.children)) == (20, MAX_UNDER)


def test_a_level_that_finds_little_room_shares_it_evenly():
    # 60 roots and 12 under each leave 720 of 1,500 for the third level: one for each of 720 parents.
    closest = {100 + 15 * r + c: r for r in range(60) for c in range(12)}
    closest |= {1000 + 12 * n + i: parent for n, parent in enumerate(sorted(closest)) for i in range(12)}

    found = plan(closest)

    assert found.n_shown == 60 + 720 + 720 == MAX_NODES
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
    return words[words.index("Unfold all") : words.index("Table of features")]


def card(page: Page, feature: int) -> str:
    words = " ".join(page.text.split())
    return words[words.index(f"Feature {feature} ", words.index("Open all details")) :].split("Top activations")[0]


def test_the_tree_stands_between_summary_and_table_with_widths_and_scores(tmp_path: Path):
    page = page_of(family_world(), tmp_path)

    parts = [attrs["id"] for attrs in page.all("section") if "id" in attrs]
    assert parts[:4] == ["summary", "prefixes", "tree", "features"]
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

    assert "The number is its “Detection, weighted F1”, with its 95 % interval." in section(page)


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
    assert "Parents" not in page.text
    assert "Children" not in page.text


def test_a_card_names_its_parents_whether_the_explainer_was_told_and_its_children(tmp_path: Path):
    page = page_of(family_world(), tmp_path)

    assert "Parents The explainer was told of it. 1 wheels width 4" in card(page, 4)
    assert "Children 9 no common property width 16" in card(page, 4)
    assert "Parents The explainer was told of 2 only. 2 water width 4 1 wheels width 4" in card(page, 5)
    assert "Parents The explainer was not told of them. 4 red wheels width 8 2 water width 4" in card(page, 9)
    assert "Children 4 red wheels width 8 5 waves width 8" in card(page, 1)


def test_features_without_a_card_are_named_without_a_link(tmp_path: Path):
    # By the ranks of the score: 4 and 2 have one. The tree and the card of 4 name 1, which has none.
    world = family_world()
    world.scores = [scored(4, 0.0), scored(1, 0.1), scored(5, 0.2), scored(9, 0.3), scored(2, 0.9)]

    page = page_of(world, tmp_path, limit=2)

    links = {str(attrs["href"]) for attrs in page.all("a")}
    assert "Parents The explainer was told of it. 1 wheels width 4 Children 1 without a card here" in card(page, 4)
    assert "1 wheels width 4 · 1 under it 0.10" in section(page)
    assert {link for link in links if link[2:].isdigit()} == {"#f2", "#f4"}
    assert "Children 2 without a card here" in card(page, 2)


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


def families(parents: dict[int, tuple[int, ...]], chosen: list[int], world: World, more: int = 0) -> Hierarchy:
    """`more` children without a card for each parent."""
    named = Counter(p for own in parents.values() for p in own)
    data = world.data()
    found = Parents({}, parents, Counter({p: n + more for p, n in named.items()}))
    return Hierarchy(found, chosen, data.info, Records(data, aggregate(data)))


@pytest.fixture
def nested(world: World) -> World:
    world.widths = (4, 8, 64)
    return world


@pytest.mark.parametrize(("feature", "width"), [(0, 4), (3, 4), (4, 8), (8, 64), (63, 64)])
def test_a_line_has_the_width_of_the_smallest_prefix_that_holds_the_feature(nested: World, feature: int, width: int):
    assert families({}, [], nested).line(feature).width == width


def test_a_parent_without_a_card_has_its_explanation_and_no_link(nested: World):
    nested.explanations = [explained(0, "water"), explained(1, "sky")]

    found = families({5: (1, 0)}, [0, 5], nested).family(5, None)

    assert found is not None
    assert [(r.feature, r.text, r.linked) for r in found.parents] == [(1, "sky", False), (0, "water", True)]


def test_a_feature_without_an_explanation_says_why(nested: World):
    nested.explanations, nested.failures = [explained(0, "")], [failed(1)]

    found = families({}, [], nested)

    assert [(found.line(f).text, found.line(f).instead) for f in (0, 1, 2)] == [
        ("", "no common property"),
        ("", "failed"),
        ("", "not in this run"),
    ]


def test_only_the_closest_parents_are_named_and_the_others_counted(nested: World):
    own = families({40: (3, 2, 1, 0, 5, 4)}, [40], nested).family(40, None)

    assert own is not None
    assert [r.feature for r in own.parents] == [3, 2, 1, 0]
    assert own.more_parents == 6 - MAX_PARENTS


def test_children_with_a_card_are_named_and_the_rest_of_the_run_counted(nested: World):
    # Ten children with a card, of which eight are named, and five without.
    children = list(range(10, 20))
    own = families({c: (0,) for c in children}, [0, *children], nested, more=5).family(0, None)

    assert own is not None
    assert [r.feature for r in own.children] == children[:MAX_CHILDREN]
    assert own.more_children == 7


def test_a_feature_on_its_own_has_no_family(nested: World):
    assert families({5: (0,)}, [5, 6], nested).family(6, None) is None


@pytest.mark.parametrize(
    ("parents", "told", "said"),
    [
        ((3,), (3,), "The explainer was told of it."),
        ((3, 1), (3, 1), "The explainer was told of them."),
        ((3,), (), "The explainer was not told of it."),
        ((3, 1), (), "The explainer was not told of them."),
        ((3, 2, 1), (3, 1), "The explainer was told of 3, 1 only."),
        ((), (), ""),
    ],
)
def test_whether_the_explainer_was_told_is_said(parents: tuple[int, ...], told: tuple[int, ...], said: str):
    assert told_text(parents, told) == said


def test_nothing_is_said_of_telling_where_nothing_was_explained(nested: World):
    found = families({5: (0,)}, [5], nested)

    failed_one, done = (found.family(5, own) for own in (None, explained(5, parents=(0,))))

    assert failed_one is not None
    assert done is not None
    assert (failed_one.told, done.told) == ("", "The explainer was told of it.")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_explanations_add_no_tag_to_tree_and_cards(text: str, tmp_path: Path):
    pages = []
    for said in ("harmless", text):
        world = family_world()
        world.explanations = [explained(n, said) for n in (1, 2, 4, 5, 9)]
        pages.append(page_of(world, tmp_path))

    plain, page = pages
    assert [(tag, sorted(attrs)) for tag, attrs in page.tags] == [(tag, sorted(attrs)) for tag, attrs in plain.tags]
