"""Pictures are encoded again in the numbers in which harvest encoded the images."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch

from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.harvest.reencode import Encoding
from benchmarks.truth.causal_world import LATENTS, SIDE, PlantedNetwork


class Fixed:
    n_latents = len(LATENTS)

    def encode(self, inputs):
        return Encoded(*inputs.topk(1))


def test_the_coder_takes_products_in_the_numbers_of_the_dump_as_in_a_harvest():
    taken: list[str] = []

    class Noting:
        n_latents = len(LATENTS)

        def encode(self, inputs):
            taken.append(torch.get_float32_matmul_precision())
            return Encoded(*inputs.topk(1))

    source = SimpleNamespace(encoder=Noting(), name="noting", reads="marks")

    for precision in ("tf32", "float32"):
        Encoding(PlantedNetwork(), source, precision, "cpu", 1).peaks([torch.zeros(3, SIDE, SIDE)])

    assert taken == ["high", "highest"]


def test_a_network_is_run_by_one_thread_at_a_time():
    running, most = 0, 0

    class Counting(PlantedNetwork):
        def run(self, batch, hookpoints, swap=None):
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.05)
            running -= 1
            return super().run(batch, hookpoints, swap)

    source = SimpleNamespace(encoder=Fixed(), name="fixed", reads="marks")
    encoding = Encoding(Counting(), source, "float32", "cpu", 1)
    picture = torch.zeros(3, SIDE, SIDE)

    with ThreadPoolExecutor(2) as pool:
        peaks = [pool.submit(encoding.peaks, [picture]) for _ in range(3)]
        heats = [pool.submit(encoding.heats, [picture], [(SIDE, SIDE)], 0) for _ in range(3)]

    assert all(future.exception() is None for future in (*peaks, *heats))
    assert most == 1
