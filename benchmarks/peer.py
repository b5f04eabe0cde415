"""Features a second that delphi's library explains and scores, text alone, on the endpoint that pipeline.py asks.

Its pipeline explains a feature of text from 40 examples and asks detection about 100 others, five in a question: 21
requests a feature, without a picture. It runs at 10, 64 and 256 features at once, and its best is the figure. Of what
it imports for models on the same machine, which no such request needs, empty modules take the place.

python -m venv peer
peer/bin/pip install --no-deps eai-delphi==0.1.3
peer/bin/pip install torch transformers safetensors orjson blobfile jaxtyping aiofiles httpx beartype asyncer \
    simple-parsing tqdm numpy uvloop pillow
peer/bin/python benchmarks/peer.py
"""

import argparse
import asyncio
import logging
import random
import resource
import sys
import time
from collections.abc import Iterator
from unittest.mock import MagicMock

UNUSED = (
    *("vllm", "vllm.distributed", "vllm.distributed.parallel_state", "vllm.inputs", "faiss", "sentence_transformers"),
    *("sparsify", "sparsify.config", "bitsandbytes", "tiktoken"),
)
sys.modules |= {name: MagicMock() for name in UNUSED}

import torch  # noqa: E402
from delphi.clients import OpenRouter  # noqa: E402
from delphi.explainers import DefaultExplainer  # noqa: E402
from delphi.latents import ActivatingExample, Latent, LatentRecord, NonActivatingExample  # noqa: E402
from delphi.pipeline import Pipe, Pipeline  # noqa: E402
from delphi.scorers import DetectionScorer  # noqa: E402
from figures import machine, stated  # noqa: E402
from stub import running  # noqa: E402

WAIT = 0.2
TOKENS = 32
TRAIN, TEST, SILENT, TOGETHER = 40, 50, 50, 5
CALLS = 1 + (TEST + SILENT) // TOGETHER
REPLY = "[1, 0, 1, 0, 1]\n[EXPLANATION]: words about round red discs"
"""Usable as an explanation and as the answer to a question of detection."""
WORDS = [" red", " disc", " on", " a", " plain", " ground", " sky", " with", " sharp", " edges", " and", " warm"]


def record(number: int) -> LatentRecord:
    """A feature of text that fires on three tokens of each of its examples."""
    chance = random.Random(number)
    ids = torch.arange(TOKENS)

    def words() -> list[str]:
        return chance.choices(WORDS, k=TOKENS)

    def active() -> ActivatingExample:
        values = torch.zeros(TOKENS)
        values[20:23] = torch.tensor([2.0, 8.0, 4.0])
        return ActivatingExample(ids, values, normalized_activations=values, str_tokens=words(), quantile=1)

    silent = [NonActivatingExample(ids, torch.zeros(TOKENS), str_tokens=words()) for _ in range(SILENT)]
    train, test = [active() for _ in range(TRAIN)], [active() for _ in range(TEST)]
    return LatentRecord(Latent("layer", number), train + test, silent, train, test)


async def explain_and_score(url: str, n: int, at_once: int) -> None:
    """Runs its pipeline over so many features."""
    client = OpenRouter("stub", api_key="none", base_url=f"{url}/chat/completions")
    explain, detect = DefaultExplainer(client), DetectionScorer(client, n_examples_shown=TOGETHER)

    def records() -> Iterator[LatentRecord]:
        return (record(i) for i in range(n))

    async def score(explained: tuple[LatentRecord, str]) -> object:
        feature, feature.explanation = explained
        return await detect(feature)

    results = await Pipeline(records, explain, Pipe(score)).run(at_once)
    assert len(results) == n
    answers = [answer for result in results for answer in result[0].score]
    assert len(answers) == n * (TEST + SILENT)
    assert all(answer.prediction is not None for answer in answers)


def main() -> None:
    """Prints a line for each number of features at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=60)
    parser.add_argument("--at-once", type=int, nargs="+", default=[10, 64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    print(machine())
    with running(WAIT, REPLY) as url:
        for at_once in options.at_once:
            rates, cpu, n = [], [], max(options.features, at_once)
            for _ in range(options.repeats):
                began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
                asyncio.run(explain_and_score(url, n, at_once))
                after = resource.getrusage(resource.RUSAGE_SELF)
                rates.append(n / (time.perf_counter() - began))
                cpu.append(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / n / CALLS)
            requests = [rate * CALLS for rate in rates]
            print(f"{at_once} at once: {stated(rates)} features/s, {stated(requests, 0)} requests/s", end="")
            print(f", {stated(cpu)} ms of CPU a request", flush=True)


if __name__ == "__main__":
    main()
