"""How far a function is, in a notebook; IPython is played."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from standin.planted import Population
from standin.server import StandIn

import autointerp
from autointerp.cli.notebook import InNotebook


@dataclass
class Handle:
    """Something displayed, and all that stood in its place."""

    shown: list[dict[str, str]] = field(default_factory=list)

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@dataclass
class Notebook:
    """Stands for IPython."""

    shell: object
    handles: list[Handle] = field(default_factory=list)

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        self.handles.append(Handle([bundle]))
        return self.handles[-1]

    @property
    def last(self) -> list[str]:
        """What stands below the cell at the end, as text."""
        return [handle.shown[-1]["text/plain"] for handle in self.handles]


def played(monkeypatch: pytest.MonkeyPatch, shell: object) -> Notebook:
    notebook = Notebook(shell)
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: notebook.shell  # pyright: ignore[reportAttributeAccessIssue]
    display.display = notebook.display  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return notebook


KERNEL = SimpleNamespace(kernel=object())


def explained(planted: Population, seer: StandIn, run: Path, **more: object) -> None:
    model = autointerp.ModelSettings(model="seer", base_url=seer.url)
    autointerp.explain(planted.folder, run, model=model, features=[0, 1], **more)


def test_a_function_shows_how_far_it_is_below_its_cell(
    planted: Population, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    notebook = played(monkeypatch, KERNEL)

    explained(planted, seer, tmp_path / "run")

    assert [text.split(" · ")[0] for text in notebook.last] == ["explain: 2/2"]
    html = notebook.handles[0].shown[-1]["text/html"]
    assert '<progress max="2" value="2"' in html
    out, err = capfd.readouterr()
    assert f"asking seer at {seer.url}" in out
    assert err == ""


def test_nothing_is_shown_to_who_declines_or_is_no_notebook(
    planted: Population, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    explained(planted, seer, tmp_path / "script")
    notebook = played(monkeypatch, KERNEL)
    explained(planted, seer, tmp_path / "declined", progress=False)
    notebook.shell = None
    explained(planted, seer, tmp_path / "loaded")

    assert notebook.handles == []
    assert capfd.readouterr() == ("", "")


def test_a_prompt_in_a_terminal_is_told_on_stderr(
    planted: Population, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    notebook = played(monkeypatch, SimpleNamespace())

    explained(planted, seer, tmp_path / "run")

    assert notebook.handles == []
    assert "explain: 2/2" in capfd.readouterr().err


def test_a_failure_leaves_the_bar_where_it_was(
    planted: Population, seer: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    notebook = played(monkeypatch, KERNEL)
    seer.status = (401, "Bad key")

    with pytest.raises(autointerp.AutointerpError, match="refuses the API key"):
        explained(planted, seer, tmp_path / "run")

    assert [text.split(" · ")[0] for text in notebook.last] in ([], ["explain: 0/2"])


def test_each_stage_that_counts_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch):
    notebook = played(monkeypatch, KERNEL)
    progress = InNotebook(clock=lambda: 0.0)

    progress.count("<files>", 0, 3)
    progress.count("<files>", 3, 3, "<done>")
    progress.count("images", 0, None)
    progress.count("images", 5, 5)
    progress.close()

    assert notebook.last == ["<files>: 3/3 · <done>", "images: 5/5"]
    html = notebook.handles[0].shown[-1]["text/html"]
    assert "&lt;files&gt;: 3/3 · &lt;done&gt;" in html
    assert "<files>" not in html
