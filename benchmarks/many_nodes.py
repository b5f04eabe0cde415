"""What `explain` and `score --engine ray` at a URL take: of the driver, the workers and the store, by the feature.

    python -m benchmarks.many_nodes --explained 20000 100000 --scored 2000 10000 --write
    python -m benchmarks.many_nodes --again    # the tables from many_nodes.json

Two nodes of one core (processes of `ray start` on this machine, each with a working folder of its own) share nothing
but an object store, the S3 server of the tests behind a proxy that counts. Pictures have 16 pixels a side, so that what
is left is the engine; the endpoint answers each question with the same reply after 50 ms, from a process of its own.
`score` runs two scorers on a run that was explained before, of features with more rows. The differences between the
last two sizes, divided by the difference in features, are the cost of one feature; what is left is the start. Memory is
the most that was resident, the program itself and Ray included; what of it goes with features `planning_memory.py`
tells. Processor time is that of the process and of its threads. With `--write` the figures go into many_nodes.json, and
with what they come to for ten million features into docs/scale.md.
"""

import argparse
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from remote.stores import S3, Faulty, upload
from standin.cluster import OPEN, Nodes, processes_of

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow
from benchmarks.figures import compile_package, machine, peak_memory, put_between
from benchmarks.stub import running

HERE = Path(__file__).parent
JSON = HERE / "many_nodes.json"
PAGE = HERE.parent / "docs/scale.md"
MARKS = ("<!-- many_nodes -->", "<!-- /many_nodes -->")
PIXELS, N_IMAGES, NODES = 16, 1000, 2
EXPLAINED = (*["top"] * 6, *["silent"] * 4)
"""Rows of a feature that is only explained."""
SCORED = (*["top"] * 12, *["silent"] * 14)
"""Of one with enough rows left to be judged on."""
SCORERS = "detection,accuracy"
WAIT = 0.05
"""Seconds before an answer."""
IN_FLIGHT = 32
LOOK = 0.5
"""Seconds between two looks at the processes."""
MANY = 10**7
PUT, GET, STORED = 5.0, 0.4, 0.023
"""Dollars for a million puts (and lists), for a million gets, and for a GB and month: S3's list prices of us-east-1."""


@dataclass(frozen=True)
class Took:
    """What one command took."""

    machine: str
    """On which, and its load at the end."""
    stage: str
    features: int
    driver_cpu: float
    workers_cpu: float
    """Seconds, of all workers."""
    driver_memory: float
    worker_memory: float
    """MB; of the largest worker."""
    puts: int
    gets: int
    """Objects read or asked about."""
    sent: int
    """Bytes."""


def picture(seed: int) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
    target = BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def write_dump(folder: Path, n: int, strata: Sequence[str] = EXPLAINED) -> None:
    """Features with these rows over pictures that they share."""
    about = {"name": f"{n} features", "created": "2026-01-01T00:00:00+00:00", "created_by": "benchmarks/many_nodes.py"}
    sizes = {"n_latents": n, "widths": (n,), "n_images": N_IMAGES, "active_above": 0.0, "patch_grid": None}
    with DumpWriter(folder, DumpInfo(model="none", hookpoint="none", **about, **sizes)) as writer:
        for image in range(N_IMAGES):
            data = picture(image)
            digest = hashlib.sha256(data).hexdigest()
            writer.add_image(image, data=data, size=(PIXELS, PIXELS), sha256=digest, group=f"image-{image}")
        for feature in range(n):
            rows = [_row((rank + 17 * feature) % N_IMAGES, rank, s) for rank, s in enumerate(strata)]
            writer.add_feature(FeatureRow(feature, n, strata.count("top"), 9.0, None, None), rows)


def _row(image: int, rank: int, stratum: str) -> Exemplar:
    fires = stratum == "top"
    return Exemplar(image, 9.0 - rank / 2 if fires else 0.0, stratum, 1.0 if fires else 0.5, None, None)


class Watch:
    """Looks at the driver and at the workers of the nodes while the context lasts."""

    def __init__(self, driver: int, nodes: Sequence[Path]) -> None:
        self.driver, self._nodes = driver, nodes
        self.cpu: dict[int, float] = {}
        """Seconds by process, when it was seen last."""
        self.memory: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            for pid in (self.driver, *self._workers()):
                try:
                    self.cpu[pid], self.memory[pid] = _cpu(pid), peak_memory(pid)
                except OSError:
                    continue

    def _workers(self) -> Iterator[int]:
        for node in self._nodes:
            for pid in processes_of(node):
                try:
                    if b"ShardWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        yield pid
                except OSError:
                    continue


def _cpu(pid: int) -> float:
    """Seconds, by the fields utime and stime of proc(5), counted behind the name, which may hold spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _watched(command: Sequence[str], nodes: Nodes) -> tuple[str, Watch]:
    """What a command says on stdout, and what it and the workers of two nodes took."""
    places = [nodes.folder(f"node-{i}") for i in range(NODES)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with driver, Watch(driver.pid, places) as seen:
        out, _ = driver.communicate()
    assert driver.returncode == 0
    return out, seen


def run(folder: Path, stage: str, n: int, server: S3, between: Faulty, url: str, endpoint: str) -> Took:
    """Explains, or scores, so many features on a cluster of its own."""
    write_dump(folder / "dump", n, SCORED if stage == "score" else EXPLAINED)
    dump, to = upload(folder / "dump", f"{url}/{stage}-dump-{n}"), f"{url}/{stage}-run-{n}"
    os.environ |= OPEN | {"AUTOINTERP_CACHE": str(folder / "cache"), "AWS_ENDPOINT_URL": between.endpoint}
    with Nodes(folder / "nodes", NODES, cores=1) as nodes:
        ray = ("--engine", "ray", "--ray-address", nodes.address, "--actors", str(NODES))
        asked = ("--base-url", endpoint, "--concurrency", str(IN_FLIGHT), *ray, "--json")
        begin = (sys.executable, "-m", "autointerp")
        commands = [(*begin, "explain", dump, "--run", to, "--model", "stub", *asked)]
        if stage == "score":
            commands.append((*begin, "score", to, "--scorers", SCORERS, *asked))
        for command in commands:
            between.asked.clear()
            between.sent = 0
            out, seen = _watched(command, nodes)
            assert json.loads(out)["done"] == n
    os.environ["AWS_ENDPOINT_URL"] = server.endpoint
    requests = Counter(method for method, _ in between.asked)
    workers = seen.cpu.keys() - {seen.driver}
    return Took(
        machine(),
        stage,
        n,
        seen.cpu[seen.driver],
        sum(seen.cpu[pid] for pid in workers),
        seen.memory[seen.driver],
        max(seen.memory[pid] for pid in workers),
        requests["PUT"] + requests["POST"],
        requests["GET"] + requests["HEAD"],
        between.sent,
    )


def table(took: Sequence[Took]) -> str:
    """What the page shows between its marks."""
    head = (
        "| | features | driver: CPU, memory | workers together: CPU; the largest: memory | puts | gets | bytes sent |"
    )
    rows = [
        f"| {t.stage} | {t.features:,} | {t.driver_cpu:.1f} s, {t.driver_memory:,.0f} MB | {t.workers_cpu:.1f} s; "
        f"{t.worker_memory:,.0f} MB | {t.puts:,} | {t.gets:,} | {t.sent / 1e6:,.1f} MB |"
        for t in took
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows, "", *_more(took)])


def _more(took: Sequence[Took]) -> Iterator[str]:
    """The cost of one feature, and of ten million, by stage."""
    sizes = Counter(t.stage for t in took)
    stages = [stage for stage, n in sizes.items() if n > 1]
    if not stages:
        return
    columns = [_costs(*[t for t in took if t.stage == stage][-2:]) for stage in stages]
    yield f"| | {' | '.join(f'{stage}: a feature more | ten million' for stage in stages)} |"
    yield f"|---{'|---|---' * len(stages)}|"
    for name in columns[0]:
        yield f"| {name} | {' | '.join(cell for column in columns for cell in column[name])} |"


def _costs(few: Took, many: Took) -> dict[str, tuple[str, str]]:
    """What one feature takes, and what ten million do."""
    n = many.features - few.features

    def each(name: str) -> float:
        return (getattr(many, name) - getattr(few, name)) / n

    driver, workers = each("driver_cpu"), each("workers_cpu")
    # Each line is sent in its part, and once more in the run, after which the part goes.
    kept = each("sent") * MANY / 1e9 / 2
    return {
        "CPU of the workers": (f"{1e3 * workers:.2f} ms", f"{workers * MANY / 3600:,.0f} core hours"),
        "CPU of the driver": (
            f"{1e3 * driver:.3f} ms ({driver / workers:.1%} of that)",
            f"{driver * MANY / 3600:,.1f} hours",
        ),
        "bytes sent": (f"{each('sent'):,.0f}", f"{2 * kept:,.0f} GB; half stays (${kept * STORED:,.2f} a month)"),
        "puts": (f"{each('puts'):.5f}", f"{each('puts') * MANY:,.0f} (${each('puts') * MANY * PUT / 1e6:,.2f})"),
        "gets": (f"{each('gets'):.5f}", f"{each('gets') * MANY:,.0f} (${each('gets') * MANY * GET / 1e6:,.2f})"),
    }


def main() -> None:
    """Reads the options, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = "features, two sizes or more, ascending"
    parser.add_argument("--explained", type=int, nargs="*", default=[2000, 20_000], help=sizes)
    parser.add_argument("--scored", type=int, nargs="*", default=[], help=sizes)
    parser.add_argument("--write", action="store_true", help="write many_nodes.json and docs/scale.md")
    parser.add_argument("--again", action="store_true", help="write docs/scale.md from many_nodes.json, and no more")
    o = parser.parse_args()
    if not o.again:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        compile_package()
        wanted = [*(("explain", n) for n in o.explained), *(("score", n) for n in o.scored)]
        # A stage that is not measured keeps its figures.
        took = [t for t in written() if t.stage not in {stage for stage, _ in wanted}] if o.write else []
        for one in _measured(wanted):
            took.append(one)
            if o.write:
                JSON.write_text(json.dumps([asdict(t) for t in took], indent=1) + "\n")
        print(table(took))
    if o.write or o.again:
        put_between(PAGE, table(written()), MARKS)


def written() -> list[Took]:
    """What many_nodes.json holds."""
    return [Took(**t) for t in json.loads(JSON.read_text())]


def _measured(wanted: Sequence[tuple[str, int]]) -> Iterator[Took]:
    """One after the other; each is printed as it ends."""
    with S3() as server, Faulty(server) as between, running(WAIT) as endpoint:
        os.environ.update(server.environment)
        url = server.bucket()
        for stage, n in wanted:
            with tempfile.TemporaryDirectory(prefix="nodes-") as folder:
                took = run(Path(folder), stage, n, server, between, url, endpoint)
            print(took, flush=True)
            yield took


if __name__ == "__main__":
    main()
