"""Changes the package a little, one mutant at a time, and says whether a test notices.

The mutants are one fixed list, scripts/mutants.json. Each names a file, a function by its qualified name and a segment
of its source, so that it is found again when lines have moved; when the file was renamed, any file that has such a
function with that segment will do.

    python scripts/mutants.py run --out after.json --tests-from covering.json
    python scripts/mutants.py compare before.json after.json

`run` works on a copy of the tracked tree and never on the tree itself. `--tests-from` is a JSON object of the tests to
run for each mutant, cheapest first; those that are gone are left out, and without the object each mutant meets the
whole suite. `compare` ends with exit code 1 when a mutant that was killed before is not killed after.
"""

import argparse
import ast
import compileall
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_suffix(".json")
PRELOADED = (
    *("aiohttp.web", "diskcache", "genai_prices", "httpx2", "hypothesis", "jinja2", "numpy", "openai", "pandas"),
    *("PIL.Image", "pyarrow.dataset", "pyarrow.parquet", "pydantic", "rich.live", "torch", "typer.main", "uvloop"),
)
"""Modules that are not ours, imported once: each mutant's tests run in a fork of this process."""


class NotFoundError(Exception):
    """The source has no such segment any more."""


@dataclass(frozen=True)
class Mutant:
    """One change."""

    id: str
    group: str
    """`seeded` or `review`."""
    operator: str
    file: str
    """From the root of the repository."""
    function: str
    """Its qualified name; `<module>` for code outside functions."""
    original: str
    occurrence: int
    """Which of the equal segments within the function, from 0."""
    mutated: str


def mutants() -> list[Mutant]:
    """The fixed list."""
    return [Mutant(**fields) for fields in json.loads(LIST.read_text())]


def functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Qualified name and the first and last line, from 1, of each function of a source, and of the whole module."""

    def within(node: ast.AST, prefix: str) -> Iterator[tuple[str, int, int]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from within(child, prefix)
                continue
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                assert child.end_lineno is not None
                yield name, child.lineno, child.end_lineno
            yield from within(child, f"{name}.")

    yield "<module>", 1, source.count("\n") + 1
    yield from within(ast.parse(source), "")


def mutate(source: str, mutant: Mutant) -> tuple[str, int]:
    """The changed source, and the line of the change, from 1.

    Raises:
        NotFoundError: the source has no such function with such a segment.
    """
    lines = source.splitlines(keepends=True)
    for name, first, last in functions(source):
        if name == mutant.function:
            before, own, after = "".join(lines[: first - 1]), "".join(lines[first - 1 : last]), "".join(lines[last:])
            parts = own.split(mutant.original)
            if len(parts) > mutant.occurrence + 1:
                at = mutant.original.join(parts[: mutant.occurrence + 1])
                rest = mutant.original.join(parts[mutant.occurrence + 1 :])
                return before + at + mutant.mutated + rest + after, first + at.count("\n")
    raise NotFoundError(f"{mutant.id}: {mutant.function} of {mutant.file} has no {mutant.original!r}")


def locate(mutant: Mutant, root: Path) -> tuple[Path, str, int]:
    """The file that a mutant changes, its changed source, and the line.

    Raises:
        NotFoundError: no file has it, or several have it.
    """
    named = root / mutant.file
    files = [named] if named.exists() else sorted(root.glob("autointerp/**/*.py"))
    found: list[tuple[Path, str, int]] = []
    for file in files:
        try:
            found.append((file, *mutate(file.read_text(), mutant)))
        except NotFoundError:
            continue
    if len(found) != 1:
        raise NotFoundError(f"{mutant.id}: {len(found)} files have {mutant.original!r} in {mutant.function}")
    return found[0]


def copy_of_tree(target: Path) -> None:
    """Copies what git tracks, as it stands in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for folder in ("autointerp", "tests"):
        compileall.compile_dir(target / folder, quiet=2)


@dataclass(frozen=True)
class Verdict:
    """What the tests said of one mutant."""

    id: str
    status: str
    """`killed`, `survived`, `untested` or `gone` (the segment is no longer there)."""
    by: str | None = None
    """The test that failed first, or `timeout`."""
    seconds: float = 0.0
    """CPU seconds of the tests."""


def judge(mutant: Mutant, tree: Path, tests: Sequence[str] | None, cpu: int) -> Verdict:
    """Runs the tests, up to the first that fails, in the copy with the mutant in it."""
    if tests is not None and not tests:
        return Verdict(mutant.id, "untested")
    try:
        file, changed, _ = locate(mutant, tree)
    except NotFoundError:
        return Verdict(mutant.id, "gone")
    kept, times = file.read_text(), (file.stat().st_atime, file.stat().st_mtime)
    file.write_text(changed)
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, log = _tested(tree, tests or (), cpu)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        file.write_text(kept)
        # As it was when it was compiled.
        os.utime(file, times)
    # Of a case that is not there pytest tells the function alone.
    if gone := [test for test in tests or () if f"not found: {tree / test.partition('[')[0]}\n" in log]:
        return judge(mutant, tree, [test for test in tests or () if test not in gone], cpu)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if code == 0:
        return Verdict(mutant.id, "survived", None, round(spent, 1))
    return Verdict(mutant.id, "killed", "timeout" if code is None else _first_failure(log), round(spent, 1))


def _first_failure(log: str) -> str:
    for line in log.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" ", 1)[1].split(" - ", 1)[0]
    # A mutant that keeps the tests' own modules from being imported is killed; by a test that is not there, none is.
    if "while loading conftest" in log:
        return "conftest.py"
    raise RuntimeError(log)


def _tested(tree: Path, tests: Sequence[str], cpu: int) -> tuple[int | None, str]:
    """Exit code of pytest, None when its time was over, and what it printed."""
    log = tree / "mutant.log"
    child = multiprocessing.get_context("fork").Process(target=_pytest, args=(tree, tests, cpu, log))
    child.start()
    # On a busy machine the wall clock runs ahead of the CPU seconds.
    child.join(20 * cpu)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid or 0, signal.SIGKILL)
    child.join()
    over = child.exitcode in (-signal.SIGKILL, -signal.SIGXCPU)
    return None if over else child.exitcode, log.read_text(errors="replace")


def _pytest(tree: Path, tests: Sequence[str], cpu: int, log: Path) -> None:
    import pytest

    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "--no-header", "--tb=line", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = int(pytest.main([*options, "-m", "", "--basetemp", str(tree / "tmp"), *tests]))
    sys.stdout.flush()
    os._exit(code)


def run(out: Path, tests_from: Path | None, only: Sequence[str], cpu: int) -> None:
    """Judges every mutant of the list, or those named, and writes the verdicts as they come."""
    known: Mapping[str, list[str]] = json.loads(tests_from.read_text()) if tests_from else {}
    found: dict[str, dict[str, object]] = json.loads(out.read_text()) if out.exists() else {}
    # A second thread of torch's would spin, and its CPU seconds look like a mutant that never ends.
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in PRELOADED:
        __import__(name)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        copy_of_tree(tree)
        listed = {mutant.id: mutant for mutant in mutants()}
        for mutant in (listed[name] for name in only or listed if name not in found):
            verdict = judge(mutant, tree, known.get(mutant.id) if tests_from else None, cpu)
            found[mutant.id] = vars(verdict)
            out.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{verdict.id} {verdict.status:9} {verdict.seconds:5.1f} s {verdict.by or ''}", flush=True)
    print(dict(Counter(str(v["status"]) for v in found.values())))


def compare(before: Path, after: Path) -> int:
    """Says which mutants the tests no longer kill; the exit code."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    killed = {name for name, verdict in old.items() if verdict["status"] == "killed"}
    lost = sorted(name for name in killed if new.get(name, {}).get("status") not in ("killed", "gone"))
    won = [name for name, verdict in new.items() if verdict["status"] == "killed" and name not in killed]
    print(f"killed before: {len(killed)} of {len(old)}; lost: {' '.join(lost) or 'none'}; won: {len(won)}")
    return 1 if lost else 0


def main() -> int:
    """The two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--out", type=Path, required=True, help="JSON; mutants that it has are not judged again")
    running.add_argument("--tests-from", type=Path)
    running.add_argument("--only", nargs="*", default=[], help="ids")
    running.add_argument("--cpu", type=int, default=60, help="most CPU seconds of one mutant")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.command == "compare":
        return compare(given.before, given.after)
    run(given.out, given.tests_from, given.only, given.cpu)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
