"""Peak resident memory of whole processes over a dump of 10^3 and one of 10^5 features, against an endpoint at once.

Two things are measured: `autointerp explain --sample 200`, which is the command as it is used and makes the pictures of
200 features; and an iteration over every feature of the dump by the same steps (read, choose what is shown, make the
request, write the explanation), without sending it, so that all 10^5 pass through one process.

python benchmarks/explain_memory.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from dumps import photograph, write_dump
from figures import machine, stated, verdict
from stub import running

from autointerp.clock import now
from autointerp.dump.reader import open_dump
from autointerp.estimation.forecast import make_explainer
from autointerp.job import images_of, reference
from autointerp.runs.folder import RunWriter
from autointerp.runs.info import ExplainStage, RunInfo
from autointerp.schema import Explanation, Usage
from autointerp.settings import ExplainSettings, ModelSettings
from autointerp.version import __version__

N_IMAGES = 120
SAMPLE = 200
MB = 1024


def peak(command: list[str | Path]) -> float:
    """Peak resident memory of a process, in MB."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_maxrss / MB


def iterate(dump: Path, folder: Path) -> None:
    """Every feature once, as `explain` goes about it, up to the request and from the explanation on."""
    with open_dump(dump) as opened:
        explainer = make_explainer(opened, ModelSettings(model="stub"), ExplainSettings(), None)
        stage = ExplainStage(model=explainer.model, settings=explainer.settings, prompts={})
        info = RunInfo(version=__version__, created=now(), dump=reference(opened), explain=stage)
        with RunWriter(folder, info) as writer:
            for feature in opened.features():
                (request,) = explainer.requests(feature, images_of(opened, feature))
                shown = tuple(p.tiles[0].image for p in request.pictures)
                writer.explanation(
                    Explanation(
                        feature=feature.id,
                        text="a round red disc with a sharp edge on a plain ground",
                        concepts=("a round red disc",),
                        none=False,
                        model="stub",
                        prompt=explainer.digest,
                        images=shown,
                        usage=Usage(calls=1),
                        created=now(),
                    )
                )


def main() -> None:
    """Writes both dumps, measures each in processes of their own, prints the peaks and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", type=int, default=1_000, help="features of the small dump")
    parser.add_argument("--large", type=int, default=100_000, help="features of the large dump")
    parser.add_argument("--iterate", type=Path, nargs=2, metavar=("DUMP", "RUN"), help="iterate, in this process")
    options = parser.parse_args()
    if options.iterate:
        iterate(*options.iterate)
        return
    sizes = (options.small, options.large)
    explained: dict[int, list[float]] = {n: [] for n in sizes}
    iterated: dict[int, list[float]] = {n: [] for n in sizes}
    with tempfile.TemporaryDirectory() as scratch, running(0.0) as url:
        folder = Path(scratch)
        photographs = [photograph(i) for i in range(N_IMAGES)]
        for n in sizes:
            write_dump(folder / f"dump{n}", n_features=n, photographs=photographs)
        for i in range(options.repeats):
            for n in sizes:
                place = folder / f"{n}-{i}"
                command = [sys.executable, "-m", "autointerp", "explain", folder / f"dump{n}", "--run", f"{place}-run"]
                command += ["--sample", str(SAMPLE), "--cache", f"{place}-cache", "--model", "stub", "--base-url", url]
                explained[n].append(peak(command))
        for n in sizes:
            # Once: the large one takes minutes.
            command = [sys.executable, __file__, "--iterate", folder / f"dump{n}", folder / f"{n}-all"]
            iterated[n].append(peak(command))
    print(machine())
    for what, found in ((f"explain --sample {SAMPLE}", explained), ("every feature, nothing sent", iterated)):
        for n in sizes:
            print(f"{what}, dump of {n} features: peak {stated(found[n], 0)} MB")
        small, large = (found[n] for n in sizes)
        ratios = [b / median(small) for b in large]
        print(verdict(f"{what}: large over small", ratios, 1.3, at_least=False))


if __name__ == "__main__":
    main()
