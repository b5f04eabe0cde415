"""Carries out tasks that wait for each other, two at a time in their own processes; what is done is not repeated."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PROCESSES = 2


@dataclass(frozen=True)
class Task:
    """Something to do once."""

    name: str
    needs: tuple[str, ...]
    """Names of the tasks that come before it."""
    work: Callable[[], object]
    """Can be pickled; where it was killed, it is called again."""


class Took(NamedTuple):
    """What a task took, seconds."""

    wall: float
    cpu: float


def carry_out(tasks: Sequence[Task], done: Path, processes: int = PROCESSES) -> dict[str, Took]:
    """Does what is not done yet, each task after those it needs, the first ones first.

    Args:
        tasks: in the order in which they are begun where several can be.
        done: folder that keeps what each took, by name; a task that stands there is done.
        processes: at work at once, each with one thread.
    """
    done.mkdir(parents=True, exist_ok=True)
    finished = {t.name for t in tasks if _file(done, t.name).exists()}
    waiting = [t for t in tasks if t.name not in finished]
    # Inherited by the new processes, in which torch reads it.
    os.environ["OMP_NUM_THREADS"] = "1"
    running: dict[Future[Took], str] = {}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            ready = [t for t in waiting if finished.issuperset(t.needs)][: processes - len(running)]
            for task in ready:
                sys.stderr.write(f"{task.name} …\n")
                running[pool.submit(_timed, task.work)] = task.name
                waiting.remove(task)
            assert running, f"{waiting} wait for each other"
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                took = future.result()
                _file(done, name).write_text(json.dumps(took._asdict()))
                sys.stderr.write(f"{name}: {took.wall:.0f} s, {took.cpu:.0f} s of CPU\n")
                finished.add(name)
    return {t.name: Took(**json.loads(_file(done, t.name).read_text())) for t in tasks}


def _file(done: Path, name: str) -> Path:
    return done / f"{name}.json"


def _timed(work: Callable[[], object]) -> Took:
    began, spent = time.monotonic(), time.process_time()
    work()
    return Took(time.monotonic() - began, time.process_time() - spent)
