"""Coders on the Hugging Face hub: what is fetched of a repository, and which commit is kept in mind."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from standin.foreign import saelens, weights

from autointerp.errors import SettingsError
from autointerp.transcoder.coder_io import load_coder
from autointerp.transcoder.coders.hub import fetched, parsed

hub = pytest.importorskip("huggingface_hub")
COMMIT = "1f" * 20


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of huggingface_hub with one commit of me/coders in it, its main branch; the hub cannot be reached."""
    home = tmp_path / "cache" / "models--me--coders"
    saelens(home / "snapshots" / COMMIT / "layer 3", weights(), "standard")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.HfApi, "model_info", raises(hub.errors.OfflineModeIsEnabled("no network")))
    return home


def raises(error: Exception) -> Callable[..., object]:
    def model_info(*_: object, **__: object) -> object:
        raise error

    return model_info


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hub:me/coders", ("me/coders", "", None)),
        ("hub:me/coders/", ("me/coders", "", None)),
        ("hub:me/coders/a/b", ("me/coders", "a/b", None)),
        ("hub:me/coders/a@v1.2", ("me/coders", "a", "v1.2")),
    ],
)
def test_names_are_taken_apart(spec: str, expected: tuple[str, str, str | None]):
    assert parsed(spec) == expected


@pytest.mark.parametrize("spec", ["hub:", "hub:me", "hub:me//x", "hub:me/coders/../..", "hub:/x"])
def test_names_of_another_form_are_refused(spec: str):
    with pytest.raises(SettingsError, match=r"should be hub:OWNER/REPO\[/FOLDER\]\[@REVISION\]"):
        parsed(spec)


def test_a_path_is_left_as_it_is(tmp_path: Path):
    assert fetched(tmp_path) == (tmp_path, None)


def test_without_the_hub_what_was_fetched_before_is_read(cache: Path):
    stored = load_coder("hub:me/coders/layer 3")

    assert (stored.info.reads, stored.info.revision) == ("blocks.3.mlp.out", COMMIT)
    with pytest.raises(
        SettingsError, match=r"--coder hub:me/other: .*; check the name, the network and your access to it"
    ):
        load_coder("hub:me/other")


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        ("a", ["a/sae.safetensors", "a/cfg.json"]),
        ("a/sae.safetensors", ["a/sae.safetensors", "a/cfg.json"]),
        ("b", ["b/one.pt", "b/two.pt", "b/config.yaml"]),
        ("", ["weights.pt", "config.json"]),
    ],
)
def test_the_folder_alone_is_fetched_of_the_commit_that_the_branch_has_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, wanted: list[str]
):
    files = ["README.md", "a/sae.safetensors", "a/cfg.json", "a/optimizer.pt", "a/in/sae.safetensors", "b/one.pt"]
    files += ["b/two.pt", "b/config.yaml", "weights.pt", "config.json", "picture.png"]
    asked: list[tuple[str, str, str]] = []

    def download(repo: str, file: str, *, revision: str) -> str:
        asked.append((repo, file, revision))
        return str(tmp_path / "snapshots" / revision / file)

    def model_info(_: object, repo: str, *, revision: str | None) -> object:
        assert (repo, revision) == ("me/coders", "v1")
        return SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=f) for f in files])

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(hub.HfApi, "model_info", model_info)

    found = fetched(f"hub:me/coders/{inside}@v1")

    assert found == (tmp_path / "snapshots" / COMMIT / inside, COMMIT)
    assert asked == [("me/coders", file, COMMIT) for file in wanted]


def test_a_folder_without_weights_says_where_there_are_some(monkeypatch: pytest.MonkeyPatch):
    files = [SimpleNamespace(rfilename=f"layers.{i}.mlp/sae.safetensors") for i in range(6)]
    about = SimpleNamespace(sha=COMMIT, siblings=files)
    monkeypatch.setattr(hub.HfApi, "model_info", lambda *_, **__: about)

    with pytest.raises(
        SettingsError, match=r"--coder hub:me/coders: has no weights there; it has layers\.0\.mlp, .*, …$"
    ):
        fetched("hub:me/coders")


def test_a_repository_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub.HfApi, "model_info", raises(hub.errors.HFValidationError("Repo id must be other\nmore")))

    with pytest.raises(SettingsError, match=r"^--coder hub:me/coders: Repo id must be other; check the name") as caught:
        fetched("hub:me/coders")

    assert "\n" not in str(caught.value)
