"""Requests a second through the gateway: against the ideal, and against a plain loop over the openai package.

Each request has four pictures of about 50 kB, or one of 20 kB as a sheet may have, and words of its own; the endpoint
answers after 200 ms, in a process of
its own. The pictures are made beforehand, so that the path of a request is measured, but for the last line.

python benchmarks/request_rate.py
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dumps import PIXELS, QUALITY, photograph, write_dump
from figures import machine, stated, verdict
from stub import running

from autointerp.dump.reader import Dump, open_dump
from autointerp.images.picture import Picture, Tile
from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.limits import Limiter
from autointerp.lmm.openai_client import OpenAIClient
from autointerp.lmm.outcomes import Answer
from autointerp.lmm.request import ImagePart, Message, Request, TextPart
from autointerp.pipeline import Stop, drive, run_async
from autointerp.replies import ExplainReply, reply_schema
from autointerp.schema import Box
from autointerp.session.gateway import estimate, open_renderer

WAIT = 0.2
N_PICTURES = 4
N_IMAGES = 120
SHEET = round(0.6 * PIXELS)
"""Pixels of a picture of some 20 kB."""
MODEL = "stub"
TEXT = "What property do the regions that fire have in common? Answer with one JSON object and nothing else. " * 12
Figures = dict[str, float]
Moment = tuple[float, float]
"""Seconds on the clock, and of CPU of all threads."""


def moment() -> Moment:
    """Now."""
    return time.perf_counter(), time.process_time()


def picture(dump: Dump, image: int, shift: int, side: int = PIXELS) -> Picture:
    """The whole image, or, shifted, a crop that no other request shows."""
    row = dump.images([image])[0]
    box = Box(shift % 97, shift % 89, shift % 97 + 350, shift % 89 + 350) if shift else None
    tile = Tile(image, row.sha256, (PIXELS, PIXELS), "crop" if shift else "full", box)
    return Picture((tile,), side, QUALITY)


def question(number: int, pictures: Sequence[Picture], n: int) -> Request:
    """A request with `n` of the pictures and its own words."""
    shown = [pictures[(n * number + i) % len(pictures)] for i in range(n)]
    images = [ImagePart(p, "active", (i,)) for i, p in enumerate(shown, 1)]
    messages = Message("system", (TextPart(TEXT),)), Message("user", (TextPart(f"Feature {number}."), *images))
    return Request(MODEL, "explain", "", messages, reply_schema(ExplainReply), 0.0, 2000, 0)


async def ours(url: str, dump: Dump, cache: Path, *, n: int, in_flight: int, how: str) -> Figures:
    """Through the gateway, with an empty cache."""
    rendered, n_shown, side = how != "rendering", *((1, SHEET) if how == "sheet" else (N_PICTURES, PIXELS))
    renderer = open_renderer(dump)
    every = [(i, 0) for i in range(N_IMAGES)] if rendered else [(i % N_IMAGES, i + 1) for i in range(N_PICTURES * n)]
    pictures = [picture(dump, image, shift, side) for image, shift in every]
    if rendered:
        await renderer.jpegs(pictures)
    finished: list[Moment] = []
    with Cache(cache) as store:
        client = OpenAIClient(url, timeout=120.0, connections=in_flight, cache=store)
        ledger = Ledger(None, {MODEL: None})
        gateway = Gateway(client, store, Limiter(in_flight), ledger, renderer, attempts=6, estimate=estimate)

        async def ask(number: int) -> None:
            outcome = await gateway.ask(question(number, pictures, n_shown), ExplainReply)
            assert isinstance(outcome, Answer), outcome
            finished.append(moment())

        began = time.perf_counter()
        await drive(iter(range(n)), ask, window=in_flight + in_flight // 2 + 1, stop=Stop())
        figures = _figures(began, finished)
        await client.aclose()
    renderer.close()
    return figures


async def naive(url: str, jpegs: Sequence[bytes], *, n: int, in_flight: int) -> Figures:
    """The loop that one writes first: `chat.completions.create()` under a semaphore."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=120.0)
    free = asyncio.Semaphore(in_flight)
    schema = {"name": "explain_reply", "strict": True, "schema": json.loads(reply_schema(ExplainReply))}
    finished: list[Moment] = []

    async def ask(number: int) -> None:
        async with free:
            content: list[dict[str, object]] = [{"type": "text", "text": f"Feature {number}."}]
            for i in range(N_PICTURES):
                text = base64.b64encode(jpegs[(N_PICTURES * number + i) % len(jpegs)]).decode()
                content.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{text}"}})
            completion = await client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "system", "content": TEXT}, {"role": "user", "content": content}],  # pyright: ignore[reportArgumentType]
                response_format={"type": "json_schema", "json_schema": schema},  # pyright: ignore[reportArgumentType]
                temperature=0.0,
                max_tokens=2000,
                seed=0,
            )
            ExplainReply.model_validate_json(completion.choices[0].message.content or "")
            finished.append(moment())

    began = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(n)))
    await client.close()
    return _figures(began, finished)


def _figures(began: float, finished: Sequence[Moment]) -> Figures:
    """The rate over everything; rate and CPU over the middle, without the start's ramp and the end's draining."""
    n = len(finished)
    first, last = n // 4, n - n // 8
    (clock_0, cpu_0), (clock_1, cpu_1) = finished[first], finished[last]
    return {
        "rate": n / (finished[-1][0] - began),
        "steady": (last - first) / (clock_1 - clock_0),
        "cpu_ms": 1000 * (cpu_1 - cpu_0) / (last - first),
    }


def measure(options: argparse.Namespace) -> Figures:
    """What one process measures."""
    with open_dump(options.dump) as dump, tempfile.TemporaryDirectory() as scratch:
        if options.measure == "naive":
            jpegs = [photograph(i) for i in range(N_IMAGES)]
            return asyncio.run(naive(options.url, jpegs, n=options.requests, in_flight=options.in_flight))
        return run_async(
            lambda: ours(
                options.url,
                dump,
                Path(scratch),
                n=options.requests,
                in_flight=options.in_flight,
                how=options.measure,
            )
        )


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="of each measurement; half for the slow ones")
    parser.add_argument(
        "--measure", choices=("ours", "sheet", "rendering", "naive"), help="one measurement, in this process"
    )
    parser.add_argument("--url")
    parser.add_argument("--dump")
    parser.add_argument("--in-flight", type=int)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    cases = (("ours", 64), ("ours", 256), ("sheet", 256), ("naive", 256), ("naive", 64), ("rendering", 64))
    got: dict[tuple[str, int], list[Figures]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as scratch, running(WAIT) as url:
        dump = Path(scratch, "dump")
        write_dump(dump, n_features=1, photographs=[photograph(i) for i in range(N_IMAGES)])
        for _ in range(options.repeats):
            for how, in_flight in cases:
                n = options.requests if how in ("ours", "sheet") else options.requests // 2
                command = [sys.executable, __file__, "--measure", how, "--url", url, "--dump", str(dump)]
                command += ["--requests", str(n), "--in-flight", str(in_flight)]
                out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                got[how, in_flight].append(json.loads(out))
    report(got, options.repeats)


def report(got: dict[tuple[str, int], list[Figures]], repeats: int) -> None:
    """The lines that are printed."""
    print(machine())
    print(f"four JPEGs of {len(photograph(0)) / 1000:.0f} kB a request, {WAIT * 1000:.0f} ms an answer")
    for (how, in_flight), figures in got.items():
        rates, cpu = [f["steady"] for f in figures], [f["cpu_ms"] for f in figures]
        whole = [f["rate"] for f in figures]
        print(
            f"{how} at {in_flight} in flight: {stated(rates)} requests/s, from start to end {stated(whole)}; "
            f"CPU {stated(cpu, 2)} ms a request"
        )
    ideal = 64 / WAIT
    share = [f["steady"] / ideal for f in got["ours", 64]]
    print(verdict(f"share of the ideal {ideal:.0f}/s at 64 in flight", share, 0.95, at_least=True))
    ideal = 256 / WAIT
    share = [f["steady"] / ideal for f in got["sheet", 256]]
    print(
        verdict(f"one picture of 20 kB: share of the ideal {ideal:.0f}/s at 256 in flight", share, 0.85, at_least=True)
    )
    times = [got["ours", 256][i]["steady"] / got["naive", 256][i]["steady"] for i in range(repeats)]
    print(verdict("times the plain loop's rate at 256 in flight", times, 5.0, at_least=True, digits=1))
    saved = [got["naive", 256][i]["cpu_ms"] / got["ours", 256][i]["cpu_ms"] for i in range(repeats)]
    print(f"times less CPU a request than the plain loop at 256 in flight: {stated(saved)}")


if __name__ == "__main__":
    main()
