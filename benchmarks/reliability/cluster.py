"""Nodes, drivers, heads and the store of a cluster struck at random moments: what that costs a run at a URL.

python -m benchmarks.reliability.cluster --strikes 50 --write    # also writes cluster.json and docs/reliability.md
python -m benchmarks.reliability.cluster --strikes 5             # a few minutes

Each run explains twelve features and scores them (detection) with `--engine ray` on two nodes of one core, processes of
`ray start` that share nothing but the S3 server of the tests. After so many questions as a seed draws, one of these is
struck, until the run is done; then the next run begins:

- node: all processes of a node are killed; another with an empty folder comes in its place;
- sigterm: a node gets SIGTERM, as a spot machine does, and another comes in its place;
- driver: the command is killed, and given again with an empty folder, as on another machine;
- head: the head and all nodes are killed, and the command with them; it is given again to a new cluster;
- store: the store refuses so many requests with 503;
- keys: the store refuses so many requests since their keys have expired.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from remote.stores import S3, Faulty, copied, upload
from standin.cluster import OPEN, Nodes
from standin.commands import run as command
from standin.planted import plant
from standin.records import timeless
from standin.server import StandIn

from benchmarks.figures import put_tables

JSON = Path(__file__).parent / "cluster.json"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
DELAY = 0.3
"""Seconds before each answer, so that questions are in flight when the strike comes."""
FARTHEST = 10
"""Questions that come, at most, between two strikes."""
REFUSED = {"store": (503, "SlowDown", 40), "keys": (400, "ExpiredToken", 3)}
"""Status and code of the store's answer while it is struck, and how many requests get it."""
STRIKES = ("node", "node", "node", "sigterm", "sigterm", "driver", "driver", "head", "store", "keys")
"""Each is as likely as it stands here often."""
JUDGED = ("--scorers", "detection", "--controls", "0")
STARTS = 40
"""Starts of a command after which something must be wrong."""


@dataclass
class Found:
    """What came of all strikes."""

    strikes: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    lost: int = 0
    """Explanations and scores that are not there at the end."""
    differing: int = 0
    """Records that differ from those of the undisturbed run, or are there twice."""
    answered: int = 0
    paid_twice: int = 0
    """Usable answers, and those of them that were asked for again."""
    starts: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    """How often a command ended in each exit code, but 0; -9 is a driver that was killed."""


@dataclass
class World:
    """A run at a URL that is struck: who asks, who answers, where it lies."""

    folder: Path
    dump: str
    url: str
    seer: StandIn
    between: Faulty
    chance: Random
    left: int
    """Strikes that are still to come."""
    found: Found
    nodes: Nodes
    driver: subprocess.Popen[bytes] | None = None
    _workers: list[str] = field(default_factory=list)
    _until: int = 0
    """Questions before the next strike."""
    _striking: threading.Thread | None = None
    _head_lost: bool = False

    def __post_init__(self) -> None:
        self._workers = ["node-0", "node-1"]
        self._draw()
        self.seer.on_call = self._called

    def _draw(self) -> None:
        self._until = self.chance.randint(2, FARTHEST)

    def _called(self, number: int) -> None:
        self._until -= 1
        busy = self._striking is not None and self._striking.is_alive()
        if self._until > 0 or busy or not self.left:
            return
        self._draw()
        self.left -= 1
        kind = self.chance.choice(STRIKES)
        self.found.strikes[kind] += 1
        sys.stderr.write(f"strike {self.found.strikes.total()}: {kind}\n")
        # Not in the thread that answers.
        self._striking = threading.Thread(target=getattr(self, f"_strike_{kind}"))
        self._striking.start()

    def _strike_node(self) -> None:
        name = self._workers.pop(self.chance.randrange(len(self._workers)))
        self.nodes.kill(name)
        self._workers.append(self.nodes.add())

    def _strike_sigterm(self) -> None:
        self.nodes.terminate(self._workers.pop(self.chance.randrange(len(self._workers))))
        self._workers.append(self.nodes.add())

    def _strike_driver(self) -> None:
        assert self.driver is not None
        self.driver.kill()

    def _strike_head(self) -> None:
        assert self.driver is not None
        self._head_lost = True
        self.nodes.kill("head")
        self.driver.kill()

    def _strike_store(self) -> None:
        self._refuse(*REFUSED["store"])

    def _strike_keys(self) -> None:
        self._refuse(*REFUSED["keys"])

    def _refuse(self, status: int, code: str, times: int) -> None:
        left = [times]

        def fault(method: str, path: str, keys: str) -> tuple[int, str] | None:
            left[0] -= 1
            return (status, code) if left[0] >= 0 else None

        self.between.fault = fault

    def until_done(self, *words: str) -> None:
        """Gives a command again and again, each time on what is like another machine, until it ends well."""
        for _ in range(STARTS):
            self.found.starts += 1
            code = self._start(*words)
            if self._striking is not None:
                self._striking.join()
            if code == 0:
                return
            self.found.codes[str(code)] += 1
            if self._head_lost:
                self._head_lost = False
                self._new_cluster()
        raise AssertionError(f"{words} is not done after {STARTS} starts")

    def _start(self, *words: str) -> int:
        home = self.folder / f"driver-{self.found.starts}"
        home.mkdir()
        ray = ("--engine", "ray", "--ray-address", self.nodes.address, "--actors", "2", "--concurrency", "4")
        own = os.environ | OPEN | {"AUTOINTERP_CACHE": str(home / "cache")}
        line = (sys.executable, "-m", "autointerp", *words, "--base-url", self.seer.url, *ray)
        with (home / "said").open("wb") as said:
            self.driver = subprocess.Popen(line, stdout=said, stderr=said, env=own, cwd=home)
            code = self.driver.wait()
        if code not in (0, -9):
            sys.stderr.write(f"  ended in {code}: {(home / 'said').read_text().strip().splitlines()[-1:]}\n")
        return code

    def _new_cluster(self) -> None:
        for name in self._workers:
            self.nodes.kill(name)
        self.nodes.begin_head()
        self._workers = [self.nodes.add(), self.nodes.add()]

    def close(self) -> None:
        """No more is struck, and what goes on has ended."""
        self.seer.on_call = None
        if self._striking is not None:
            self._striking.join()


def strike(strikes: int, seed: int) -> Iterator[Found]:
    """Strikes so many times; what was found so far, after each run."""
    found, chance = Found(), Random(f"{seed}:cluster")
    with tempfile.TemporaryDirectory(prefix="struck-") as name, S3() as server, Faulty(server) as between:
        folder = Path(name)
        os.environ.update(server.environment, AUTOINTERP_CACHE=str(folder / "cache"))
        bucket = server.bucket()
        with StandIn() as seer:
            dump = upload(plant(folder / "dump", n_top=12, n_band=4, n_silent=8).folder, f"{bucket}/dump")
            clean = _undisturbed(folder, dump, seer)
            os.environ["AWS_ENDPOINT_URL"] = between.endpoint
            seer.delay = DELAY
            while found.strikes.total() < strikes:
                found.runs += 1
                seer.forget()
                between.fault = lambda method, path, keys: None
                own, left = folder / f"run-{found.runs}", strikes - found.strikes.total()
                with Nodes(own / "nodes", 2, cores=1) as nodes:
                    url = f"{bucket}/run-{found.runs}"
                    world = World(own, dump, url, seer, between, chance, left, found, nodes)
                    try:
                        world.until_done("explain", dump, "--run", url, "--model", "seer")
                        world.until_done("score", url, *JUDGED)
                    finally:
                        world.close()
                _compare(found, clean, copied(url, own / "copy"))
                found.answered += seer.answered.total()
                found.paid_twice += seer.answered.total() - len(seer.answered)
                yield found


def _undisturbed(folder: Path, dump: str, seer: StandIn) -> tuple[list[str], list[str]]:
    to, usual = folder / "clean", ("--base-url", seer.url, "--cache", folder / "plain")
    for words in (("explain", dump, "--run", to, "--model", "seer"), ("score", to, *JUDGED)):
        said = command(*words, *usual)
        assert said.code == 0, said.err
    return timeless(to)


def _compare(found: Found, clean: tuple[list[str], list[str]], run: Path) -> None:
    for there, wanted in zip(timeless(run), clean, strict=True):
        found.lost += max(0, len(wanted) - len(there))
        # What stands there twice has one line that nothing is left to agree with.
        found.differing += (Counter(there) - Counter(wanted)).total()


def table(found: dict) -> str:
    """What the page shows between its marks."""
    kinds, codes = ({k: found[name][k] for k in sorted(found[name])} for name in ("strikes", "codes"))
    ended = ", ".join(f"{code} ({n})" for code, n in codes.items())
    total, once = sum(kinds.values()), found["answered"] - found["paid_twice"]
    head = f"| strikes | {' | '.join(kinds)} | runs | starts | lost | differing | paid twice, of answers | exit codes |"
    row = f"| {total} | " + " | ".join(map(str, kinds.values())) + f" | {found['runs']} | {found['starts']} | "
    row += f"{found['lost']} | {found['differing']} | {found['paid_twice']}, of {once} | {ended} |"
    return "\n".join([head, "|---" * (7 + len(kinds)) + "|", row])


def main() -> int:
    """Strikes, prints; 1 if something was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strikes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write cluster.json and docs/reliability.md")
    o = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    found: dict = {}
    for so_far in strike(o.strikes, o.seed):
        found = vars(so_far) | {"seed": o.seed}
        print(table(found), flush=True)
        if o.write:
            JSON.write_text(json.dumps(found, indent=1) + "\n")
            put_tables(PAGE, {"cluster": table(found)}, "reliability")
    return int(bool(found["lost"] or found["differing"]))


if __name__ == "__main__":
    raise SystemExit(main())
