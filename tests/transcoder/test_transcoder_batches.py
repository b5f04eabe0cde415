import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from harvest_world import PlantedBackbone, pictures, planted
from PIL import Image
from torch import Tensor

from autointerp.populations.images import Population
from autointerp.transcoder.batches import prepared, prepared_batches

N = 30
LONG = 60.0
"""Seconds after which a test gives up."""


class Counted(PlantedBackbone):
    """Counts the pictures that it has prepared."""

    def __init__(self) -> None:
        super().__init__(planted(N, 4))
        self.n_prepared = 0
        self.changed = threading.Condition()

    def prepare(self, image: Image.Image) -> Tensor:
        made = super().prepare(image)
        with self.changed:
            self.n_prepared += 1
            self.changed.notify_all()
        return made

    def waits_for(self, n: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.n_prepared >= n, LONG)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return pictures(tmp_path_factory.mktemp("pictures"), N)


def parts(population: Population) -> list[tuple[object, ...]]:
    return [population.images[i : i + 4] for i in range(0, N, 4)]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_while_one_batch_is_run_as_many_more_are_decoded_as_asked_and_none_besides(population: Population, ahead: int):
    backbone = Counted()
    batches = prepared(backbone, parts(population), ahead=ahead)

    next(batches)
    assert backbone.waits_for(4 * (1 + ahead))
    next(batches)
    assert backbone.waits_for(4 * (2 + ahead))

    # Nobody asks for more, so nothing more is begun.
    assert backbone.n_prepared == 4 * (2 + ahead)
    batches.close()


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_decoding_ahead_changes_neither_order_nor_pixels(population: Population, ahead: int):
    plain = list(prepared(Counted(), parts(population), ahead=0))

    found = list(prepared(Counted(), parts(population), ahead=ahead))

    assert [[i.image for i in part] for part, _ in found] == [[i.image for i in part] for part, _ in plain]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(found, plain, strict=True))
    # A picture's number stands in all of its pixels.
    numbers = np.concatenate([pixels[:, 0, 0, 0].numpy() for _, pixels in found])
    assert numbers.tolist() == list(range(N))


def test_batches_of_one_size_are_the_same(population: Population):
    found = [(len(part), pixels.shape[0]) for part, pixels in prepared_batches(Counted(), population.images, size=8)]

    assert found == [(8, 8), (8, 8), (8, 8), (6, 6)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_what_is_copied_to_a_cuda_device_is_what_stays_in_memory(population: Population, tmp_path: Path):
    plain = list(prepared(Counted(), parts(population)))

    copied = list(prepared(Counted(), parts(population), device="cuda"))

    assert all(b.is_cuda and torch.equal(a, b.cpu()) for (_, a), (_, b) in zip(plain, copied, strict=True))
