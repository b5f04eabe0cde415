"""The overview counts what the run says; its tree goes from a feature to those under it."""

from pathlib import Path

import numpy as np
import pytest
from explorer.explorer_world import asking, opened
from exports.exports_world import drawn, info_of, write_dump, write_run
from report.report_world import scored

from autointerp.dump.reader import open_dump
from autointerp.dump.writer import DumpWriter
from autointerp.explorer.index_lines import Key
from autointerp.explorer.overview import _rank_correlation, costs, drawing, spread, states_of
from autointerp.explorer.tree import Hierarchy
from autointerp.explorer.viewed import Viewed
from autointerp.runs.folder import RunWriter
from autointerp.schema import Control, FeatureRow, Usage

KEY = Key("detection", "judge-1")


@pytest.fixture
def what(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    with RunWriter(run, info_of(tmp_path / "dump")) as writer:
        writer.score(scored(2, 0.9, controls={"constant": Control(value=0.3)}))
    with opened(run, cache=tmp_path / "cache") as found:
        yield found


def page(what: Viewed, address: str = "/overview") -> str:
    answer = asking(what).get(address)
    assert answer.status_code == 200
    return answer.text


def test_states_add_up_to_the_dump(what: Viewed):
    counts = {state.name: state.n for state in states_of(what.index)}

    assert counts == {"one": 2, "mixed": 1, "none": 1, "failed": 1, "unexplainable": 1, "unexplained": 2}
    assert sum(state.width for state in states_of(what.index)) == pytest.approx(100)


def test_scores_stand_beside_their_controls_on_the_same_features(what: Viewed):
    found = spread(what.index, KEY)

    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.7)  # of 0.5 and 0.9
    assert found.unscored == 1
    assert [(c.title, c.n) for c in found.controls] == [("text “an image”", 2)]
    assert found.controls[0].value == pytest.approx(0.2)  # of 0.1 and 0.3
    assert found.controls[0].difference.value == pytest.approx(0.5)
    assert sum(bar.n for bar in found.bars) == 2


def test_a_cell_of_the_drawing_leads_to_its_features(what: Viewed):
    drawn = drawing(what.index, KEY)

    assert drawn is not None
    assert drawn.n == 2
    asked = asking(what)
    counts = [asked.get(cell.address).text.count('<tr role="row" data-feature="') for cell in drawn.cells]
    assert counts == [cell.n for cell in drawn.cells] == [1, 1]


def test_ranks_correlate_by_their_order_alone():
    assert _rank_correlation(np.array([1.0, 2, 3]), np.array([1.0, 100, 101])) == pytest.approx(1)
    assert _rank_correlation(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert _rank_correlation(np.array([1.0, 2, 3]), np.array([1.0, 1, 1])) is None


def test_every_answer_counts_in_the_cost(what: Viewed):
    found = costs(what.index)

    # Feature 0 was explained twice.
    assert (found["Explaining"].calls, found["Explaining"].dollars) == (5, 2.5)
    assert found["F1, judge-1"].calls == 2
    assert found["Together"].dollars == pytest.approx(2.5 + 0.75)


def test_of_a_scorer_that_asked_nothing_itself_the_table_says_so(what: Viewed, tmp_path: Path):
    with RunWriter(tmp_path / "run", info_of(tmp_path / "dump")) as writer:
        writer.score(scored(2, 0.9, scorer="accuracy", usage=Usage()))
    what.index.refresh()

    # Accuracy reads detection's answers.
    assert costs(what.index)["Accuracy, judge-1"] == Usage()
    rows = page(what).split('<div class="cost wide">')[1].split("</tbody>")[0].split("</tr>")
    (row,) = [row for row in rows if "Accuracy" in row]
    assert "nothing was asked" in row
    assert "not known" not in row


def test_the_cost_counts_both_judgings_of_one_judge(tmp_path: Path):
    run = write_run(tmp_path / "run", write_dump(tmp_path / "dump"))
    info = info_of(tmp_path / "dump")
    assert info.score is not None
    seeded = info.score.model_copy(update={"settings": info.score.settings.model_copy(update={"seed": 1})})
    with opened(run, cache=tmp_path / "cache") as what:
        before = costs(what.index)
    with RunWriter(run, info.with_judging("again", seeded), "again") as writer:
        writer.score(scored(2, 0.9, judging="again"))

    with opened(run, cache=tmp_path / "cache") as what:
        after = costs(what.index)

    assert after["Together"].calls == before["Together"].calls + 1


def test_the_page_shows_all_of_it(what: Viewed):
    shown = page(what)

    assert "Detection, weighted F1" in shown
    assert "Beside its controls" in shown
    assert "The judge is not calibrated" in shown
    assert 'style="' not in shown
    assert 'id="tree"' not in shown


def write_tree(path: Path) -> Path:
    """Features 4 and 5 stand under 0, 6 under 4, 7 under 1; 2 and 3 stand alone."""
    info = drawn(widths=(4, 6, 8))
    parents = {4: (0,), 5: (0, 1), 6: (4,), 7: (1,)}
    with DumpWriter(path, info) as writer:
        for feature in range(8):
            width = 4 if feature < 4 else 6 if feature < 6 else 8
            writer.add_feature(FeatureRow(feature, width, 1, 1.0, None, None, parents.get(feature)), [])
    return path


def test_the_tree_holds_each_feature_under_its_closest_parent(tmp_path: Path):
    with open_dump(write_tree(tmp_path / "dump")) as dump:
        tree = Hierarchy(dump, dump.feature_ids)

        assert tree.below(None).tolist() == [0, 1]
        assert tree.below(0).tolist() == [4, 5]
        assert tree.below(4).tolist() == [6]
        assert tree.below(7).tolist() == []
        assert [tree.n_below(place) for place in range(8)] == [2, 1, 0, 0, 1, 0, 0, 0]


def test_a_level_is_a_page_too(tmp_path: Path):
    with opened(write_tree(tmp_path / "dump"), cache=tmp_path / "cache") as what:
        assert 'href="/feature/4"' in page(what, "/tree/0")
        assert 'data-under="4"' in page(what, "/tree/0")
        assert asking(what).get("/tree/99").status_code == 404
