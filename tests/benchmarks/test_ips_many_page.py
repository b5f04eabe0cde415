"""The page shows what the files of the paper's own kinds of tasks say."""

import pytest

from benchmarks.ips.many import cells, reasoning, reasoning_tables, written, written_tables

RECIPE = reasoning_tables.RECIPE
PAGE = cells.PAGE.read_text()


def test_the_page_holds_the_tables_of_the_reasoning_tasks():
    for name, text in reasoning_tables.tables(cells.read(reasoning.JSON)).items():
        assert f"<!-- ips-many: {name} -->\n\n{text}\n\n<!-- /ips-many: {name} -->" in PAGE


def test_the_page_holds_the_tables_of_the_molecules():
    pytest.importorskip("rdkit")
    pytest.importorskip("selfies")
    from benchmarks.ips.many import molecules, molecules_tables

    for name, text in molecules_tables.tables(cells.read(molecules.JSON)).items():
        assert f"<!-- ips-many: {name} -->\n\n{text}\n\n<!-- /ips-many: {name} -->" in PAGE


@pytest.mark.skipif(not written.JSON.exists(), reason="the transformers' figures are not there")
def test_the_page_holds_the_tables_of_the_transformers():
    for name, text in written_tables.tables(cells.read(written.JSON)).items():
        assert f"<!-- ips-many: {name} -->\n\n{text}\n\n<!-- /ips-many: {name} -->" in PAGE


@pytest.mark.parametrize("task", written.AT_EQUAL_TIME)
def test_at_equal_time_no_method_took_longer_than_grpo_which_did_the_same_again(task: str):
    found = cells.read(written.JSON)
    grpo = found.of(task, 16, "GRPO" + written.TIMED)

    assert grpo.figures == found.of(task, 16, "GRPO").figures
    for method, steps in written.AT_EQUAL_TIME[task].items():
        assert found.of(task, 16, method + written.TIMED).seconds <= grpo.seconds
        assert found.settings[f"steps at equal time, {task}, {method}"] == steps


def test_the_recipe_holds_its_table():
    text = reasoning_tables.recipe(cells.read(reasoning.JSON))

    assert f"<!-- ips-many: recipe groups -->\n\n{text}\n\n<!-- /ips-many: recipe groups -->" in RECIPE.read_text()


def test_every_figure_is_of_eight_seeds_or_more():
    for path in cells.HERE.glob("*.json"):
        assert min(len(v) for c in cells.read(path).cells for v in c.figures.values()) >= 8


@pytest.mark.parametrize("group", reasoning.GROUPS)
def test_grpo_is_the_most_collapsed_method_of_each_group_size(group: int):
    found = cells.read(reasoning.JSON)
    tasks = [reasoning.task(d, s) for d in reasoning.DOMAINS for s in (9, 27)]

    for method in reasoning.ORDER[1:]:
        for task in tasks:
            assert found.of(task, group, method).mean("largest") <= found.of(task, group, "GRPO").mean("largest") + 0.01
