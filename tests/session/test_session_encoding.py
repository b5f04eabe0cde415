"""The network that made a dump, asked again: it gives the dump's own activations, each picture is run once."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from autointerp.dump.format import CoderOrigin, load_info
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import SettingsError
from autointerp.images.alteration import Source, crop, whole
from autointerp.jobs.demo import demo_dump
from autointerp.lmm.cache import Cache
from autointerp.schema import Box
from autointerp.session.encoding import DumpEncoder, Network, _loaded, check_originals, network_of, open_encoder
from autointerp.transcoder.settings import NetworkChoice
from benchmarks.truth.causal import planted_dump
from benchmarks.truth.causal_world import PlantedNetwork

CHOICE = NetworkChoice(coder="raw:marks", backbone=PlantedNetwork(), encode_batch=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_dump(tmp_path_factory.mktemp("planted"), 120, 0, whole=False)


@pytest.fixture
def dump(folder: Path) -> Dump:
    return open_dump(folder)


def opened(network: Network, dump: Dump, cache: Path, work):
    """What some work with the encoder gives."""

    async def inside():
        with Cache(cache) as store:
            async with open_encoder(network, dump, store, dump.feature_ids, lambda _: None) as encoder:
                return await work(encoder)

    return asyncio.run(inside())


def originals(dump: Dump, feature: int, n: int = 6):
    chosen = dump.feature(feature).active[:n]
    rows = dump.images([e.image for e in chosen])
    return [whole(Source.of(r)) for r in rows], [e.activation for e in chosen]


def test_images_as_they_are_give_the_activations_of_the_dump(dump: Dump, tmp_path: Path):
    for feature in dump.feature_ids.tolist():
        pictures, stated = originals(dump, feature)

        found = opened(
            network_of(CHOICE, dump, "x"), dump, tmp_path, lambda e, p=pictures, f=feature: e.activations(p, f)
        )

        assert found == pytest.approx(stated, rel=1e-3)


def test_a_picture_is_run_once_whoever_asks_and_whenever(dump: Dump, tmp_path: Path):
    network = network_of(CHOICE, dump, "x")
    pictures, _ = originals(dump, 0)

    async def both(encoder: DumpEncoder):
        before = encoder.n_run
        first, second = await asyncio.gather(encoder.activations(pictures, 0), encoder.activations(pictures[::-1], 2))
        return encoder.n_run - before, first, second

    n, first, second = opened(network, dump, tmp_path, both)
    again, same, _ = opened(network, dump, tmp_path, both)

    assert (n <= 6, again) == (True, 0)
    assert same.tolist() == first.tolist()
    assert len(second) == 6


def test_what_a_picture_gives_does_not_hang_on_its_batch(dump: Dump, tmp_path: Path):
    pictures, _ = originals(dump, 0)
    alone = [
        opened(network_of(CHOICE, dump, "x"), dump, tmp_path / str(i), lambda e, p=p: e.activations([p], 0))[0]
        for i, p in enumerate(pictures[:3])
    ]
    together = opened(network_of(CHOICE, dump, "x"), dump, tmp_path / "all", lambda e: e.activations(pictures, 0))

    assert together[:3].tolist() == alone


def test_a_picture_that_cannot_be_made_is_no_number(dump: Dump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pictures, _ = originals(dump, 0, 2)
    broken = pictures[0].source.image
    source = Dump.image_source
    monkeypatch.setattr(Dump, "image_source", lambda self, i: b"no image" if i == broken else source(self, i))
    other = crop(pictures[1].source, Box(0, 0, 64, 64))

    async def asked(encoder: DumpEncoder):
        return await encoder.activations([whole(pictures[0].source), other], 0)

    with Cache(tmp_path) as store:
        network = network_of(CHOICE, dump, "x")
        found = asyncio.run(asked(DumpEncoder(_loaded(network), dump, store)))

    assert np.isnan(found).tolist() == [True, False]


class OtherNetwork(PlantedNetwork):
    """Gives a tenth more than the one that made the dump."""

    digest = "2" * 64

    def run(self, batch, hookpoints, swap=None):
        return {name: 1.1 * value for name, value in super().run(batch, hookpoints).items()}


def test_another_network_is_refused_by_the_names_of_the_features_that_differ(dump: Dump, tmp_path: Path):
    network = network_of(CHOICE.model_copy(update={"backbone": OtherNetwork()}), dump, "x")

    async def nothing(encoder: DumpEncoder):
        raise AssertionError("nothing may be measured")

    with pytest.raises(SettingsError, match=r"gives other activations than .*: feature 0 on image \d+: .*feature 4 on"):
        opened(network, dump, tmp_path, nothing)


def test_a_difference_below_a_thousandth_of_the_largest_is_none(dump: Dump):
    class Near:
        name = "near"

        def __init__(self, off: float) -> None:
            self.off = off

        async def activations(self, pictures, feature):
            stated = {e.image: e.activation for e in dump.feature(feature).active}
            largest = dump.feature_row(feature).max_activation
            return np.array([stated[p.source.image] + self.off * largest for p in pictures])

    network = network_of(CHOICE, dump, "x")
    asyncio.run(check_originals(Near(0.9e-3), dump, dump.feature_ids, network))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match="other activations"):
        asyncio.run(check_originals(Near(1.1e-3), dump, dump.feature_ids, network))  # pyright: ignore[reportArgumentType]


def test_without_a_coder_one_line_says_what_to_name(dump: Dump):
    with pytest.raises(SettingsError, match=r"--scorers causal: .*--coder .*--backbone, since .*dump.json names none"):
        network_of(NetworkChoice(), dump, "--scorers causal")


def test_a_coder_that_the_dump_names_and_that_is_not_there_is_said(dump: Dump, monkeypatch: pytest.MonkeyPatch):
    origin = CoderOrigin(format="f", digest="d", source="gone/coder")
    monkeypatch.setattr(dump, "info", dump.info.model_copy(update={"coder": origin}))

    with pytest.raises(SettingsError, match="gone/coder is not there; name its place with --coder"):
        network_of(NetworkChoice(), dump, "--scorers causal")


def test_a_harvest_says_which_backbone_it_ran_and_how_it_saw_the_images(folder: Path):
    found = load_info(folder).backbone

    assert found is not None
    assert (found.name, found.digest, found.precision, found.side) == ("planted marks", "1" * 64, "float32", 128)


def test_the_demo_names_the_coder_that_lies_beside_it():
    with open_dump(demo_dump()) as demo:
        network = network_of(NetworkChoice(), demo, "x")

    assert (network.coder, network.backbone) == (str(demo_dump() / "coder"), "dinov2-small")


def test_the_demo_gives_its_own_activations_again(tmp_path: Path):
    pytest.importorskip("onnx")
    with open_dump(demo_dump()) as demo:
        feature = int(demo.feature_ids[0])
        pictures, stated = originals(demo, feature, 2)
        network = network_of(NetworkChoice(encode_batch=2), demo, "x")
        try:
            encoding = _loaded(network)
        except SettingsError as e:
            pytest.skip(str(e))
        with Cache(tmp_path) as store:
            found = asyncio.run(DumpEncoder(encoding, demo, store).activations(pictures, feature))

    assert found == pytest.approx(stated, abs=1e-3 * demo.feature_row(feature).max_activation)


class BrokenNetwork(PlantedNetwork):
    """Gives activations that are no numbers."""

    def run(self, batch, hookpoints, swap=None):
        return {name: value * np.nan for name, value in super().run(batch, hookpoints).items()}


def test_activations_that_are_no_numbers_end_the_work_of_all_who_wait(dump: Dump, tmp_path: Path):
    network = network_of(CHOICE.model_copy(update={"backbone": BrokenNetwork()}), dump, "x")
    pictures, _ = originals(dump, 0)

    async def asked():
        with Cache(tmp_path) as store:
            encoder = DumpEncoder(_loaded(network), dump, store)
            waiting = [encoder.activations(some, 0) for some in (pictures[:3], pictures[3:])]
            return await asyncio.gather(*waiting, return_exceptions=True)

    found = asyncio.run(asked())

    assert [type(one) for one in found] == [SettingsError, SettingsError]
