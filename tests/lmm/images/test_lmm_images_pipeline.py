"""Pictures by a diffusers pipeline in this process: a tiny one where diffusers is installed, else a played one."""

import asyncio
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from PIL import Image
from scripted import NoImages

from autointerp.errors import ExtraError, SettingsError
from autointerp.lmm.images import pipeline
from autointerp.lmm.images.request import PictureReply, picture_request
from autointerp.lmm.images.store import PictureStore, picture_file
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.parse import parse_reply

needs_diffusers = pytest.mark.skipif(find_spec("diffusers") is None, reason="it comes with the extra generate")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "need", lambda *_: None)


def asked(client: pipeline.PipelineClient, prompt: str, seed: int, size: str = "32x24") -> PictureReply:
    request = picture_request("diffusers:tiny", prompt, seed, {"size": size})
    completion = asyncio.run(client.complete(request, NoImages(), nullcontext()))
    return parse_reply(completion.text, PictureReply)


class Played:
    """A pipeline that paints a shade for the prompt and the seed, and refuses what it cannot."""

    def __init__(self) -> None:
        self.nsfw = [False]

    def __call__(self, prompt: str, *, width: int, height: int, generator, output_type: str) -> SimpleNamespace:
        if width % 8:
            raise ValueError("`height` and `width` have to be divisible by 8")
        shade = (len(prompt) + generator.initial_seed()) % 256
        return SimpleNamespace(
            images=[Image.new("RGB", (width, height), (shade,) * 3)], nsfw_content_detected=self.nsfw
        )


@pytest.mark.usefixtures("installed")
def test_a_pipeline_is_loaded_once_and_each_picture_follows_from_prompt_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    loads: list[tuple[str, str]] = []
    monkeypatch.setattr(pipeline, "loaded", lambda *name: loads.append(name) or Played())
    client = pipeline.PipelineClient("tiny", PictureStore(tmp_path), "cpu")

    first, again, other = asked(client, "a car", 1), asked(client, "a car", 1), asked(client, "a car", 2)

    assert loads == [("tiny", "cpu")]
    assert first == again
    assert first.sha256 != other.sha256
    assert (first.width, first.height) == (32, 24)
    assert picture_file(tmp_path, first.sha256) is not None


@pytest.mark.usefixtures("installed")
def test_a_size_that_it_cannot_make_ends_the_run_and_a_safety_checker_refuses_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    played = Played()
    monkeypatch.setattr(pipeline, "loaded", lambda *name: played)
    client = pipeline.PipelineClient("tiny", PictureStore(tmp_path))

    with pytest.raises(CallError) as size:
        asked(client, "a car", 1, "33x24")
    played.nsfw = [True]
    with pytest.raises(CallError) as unsafe:
        asked(client, "a car", 1)

    assert "give another --image-size" in (size.value.remedy or "")
    assert (unsafe.value.kind, unsafe.value.again, unsafe.value.remedy) == ("refused", False, None)


@pytest.mark.skipif(find_spec("diffusers") is not None, reason="diffusers is installed")
def test_without_the_extra_one_line_says_so(tmp_path: Path):
    with pytest.raises(ExtraError, match=r"--image-model diffusers:tiny needs diffusers.*\[generate\]"):
        pipeline.PipelineClient("tiny", PictureStore(tmp_path))


@needs_diffusers
def test_a_tiny_pipeline_built_from_a_config_makes_pictures(tmp_path: Path):
    from standin.tiny_pipeline import save_tiny

    client = pipeline.PipelineClient(str(save_tiny(tmp_path / "tiny")), PictureStore(tmp_path / "pictures"))

    car, again, bird = asked(client, "a red car", 1), asked(client, "a red car", 1), asked(client, "a blue bird", 1)

    assert car == again
    assert car.sha256 != bird.sha256
    assert (car.width, car.height) == (32, 24)


@needs_diffusers
def test_a_pipeline_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"--image-model diffusers:.*nothing: cannot be loaded"):
        pipeline.loaded(str(tmp_path / "nothing"), "cpu")
