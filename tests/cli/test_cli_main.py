import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin.commands import all_commands, run

from autointerp.cli.main import COMMANDS, GROUPS
from autointerp.version import __version__

HEAVY = ("torch", "pyarrow", "openai", "numpy", "PIL", "diskcache", "jinja2", "pydantic")


def names() -> Iterator[tuple[str, ...]]:
    """The words that call each command."""
    yield from ((name,) for name in COMMANDS)
    yield from ((group, name) for group, (_, modules) in GROUPS.items() for name in modules)


NAMES = list(names())


def loaded(code: str) -> set[str]:
    """Which heavy modules a fresh Python holds after some code."""
    script = f"import sys\n{code}\nprint([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))


def test_the_commands_of_the_first_page_are_there():
    usual = {("demo",), ("inspect",), ("import", "folder"), ("explain",), ("score",), ("report",), ("status",)}

    assert usual <= set(NAMES)


@pytest.mark.parametrize("path", NAMES, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_itself(path: tuple[str, ...]):
    result = run(*path, "--help")

    assert result.code == 0
    text = " ".join(result.out.split())
    assert "Example: " in text
    assert f"autointerp {' '.join(path)}" in text.partition("Example: ")[2]


@pytest.mark.parametrize("path", NAMES, ids=" ".join)
def test_every_option_says_what_it_does(path: tuple[str, ...]):
    silent = [p.name for p in all_commands()[path].params if not getattr(p, "help", None)]

    assert silent == []


def test_importing_the_package_loads_nothing_heavy():
    assert loaded("import autointerp") == set()


def test_the_help_loads_nothing_heavy():
    called = "sys.argv = ['autointerp', '--help']\nfrom autointerp.cli.main import main\n"
    code = called + "try: main()\nexcept SystemExit: pass"

    assert loaded(code) == set()


def test_every_public_name_is_there():
    import autointerp

    assert all(getattr(autointerp, name) is not None for name in autointerp.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        autointerp.nonsense  # noqa: B018


def test_the_version_is_printed():
    result = run("--version")

    assert (result.code, result.out) == (0, f"autointerp {__version__}\n")


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "autointerp", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"autointerp {__version__}\n"


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("inspect", "nowhere"), "nowhere"),
        (("status", "nowhere"), "nowhere: no run.json here"),
        (("report", "nowhere"), "nowhere: no run.json here"),
        (("score", "nowhere"), "nowhere: no run.json here"),
        (("explain", "nowhere", "--run", "r"), "name a model with --model"),
        (("explain", "nowhere", "--run", "r", "--model", "m"), "nowhere"),
        (("explain", "d", "--run", "r", "--model", "m", "--shown", "best"), "--shown 'best': input should be 'drawn'"),
        (("explain", "d", "--run", "r", "--model", "m", "--rendering", "blur"), "--rendering 'blur': "),
        (("estimate", "nowhere"), "nowhere"),
        (("--config", "nowhere.toml", "status", "r"), "--config nowhere.toml: no such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], problem: str
):
    monkeypatch.chdir(tmp_path)

    result = run(*args)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("autointerp: ")
    assert problem in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("explain",),
        ("explain", "DUMP", "--run", "r", "--seed", "-1"),
        ("explain", "DUMP", "--run", "r", "--concurrency", "0"),
        ("score", "r", "--per-call", "65"),
    ],
)
def test_a_wrong_call_is_exit_code_2(args: tuple[str, ...]):
    assert run(*args).code == 2


def config(path: Path, text: str) -> Path:
    file = path / "autointerp.toml"
    file.write_text(text, "utf-8")
    return file


def test_defaults_come_from_a_file_and_options_go_before_them(tmp_path: Path):
    file = config(tmp_path, '[explain]\nrun = "r"\nmodel = "m"\nshown = "büst"\n')

    from_file = run("--config", file, "explain", tmp_path)
    given = run("--config", file, "explain", tmp_path, "--shown", "worst")

    assert from_file.err.startswith(f"autointerp: {file}: [explain] shown: --shown 'büst': ")
    assert given.err.startswith("autointerp: --shown 'worst': ")


def test_dashes_and_underscores_are_the_same_in_a_file(tmp_path: Path):
    for key in ("judge-model", "judge_model"):
        file = config(tmp_path, f'[score]\n{key} = "m"\n')

        assert "no run.json here" in run("--config", file, "score", tmp_path).err


def test_a_command_of_a_group_has_a_table_inside_the_groups(tmp_path: Path):
    file = config(tmp_path, "[import.folder]\nn-latents = 0\n")

    result = run("--config", file, "import", "folder", tmp_path, tmp_path / "dump")

    assert result.code == 2
    assert result.err.startswith(f"autointerp: --config {file}: [import.folder] n-latents = 0: ")
    assert result.err.count("\n") == 1


def test_an_option_of_a_file_that_does_not_go_with_a_typed_one_is_found_there(tmp_path: Path):
    file = config(tmp_path, '[explain]\nrun = "r"\nmodel = "m"\nshard = "0/2"\n')

    result = run("--config", file, "explain", tmp_path, "--engine", "ray")

    assert result.code == 2
    assert result.err.startswith(f"autointerp: {file}: [explain] shard: --shard is worked on by one process; for")


def test_a_variable_that_gives_a_bad_value_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOINTERP_BASE_URL", "localhost:8000")

    result = run("explain", tmp_path, "--run", "r", "--model", "m")

    assert result.code == 2
    assert result.err.startswith("autointerp: AUTOINTERP_BASE_URL: --base-url localhost:8000: not an http(s) address")


def test_the_environment_names_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "AUTOINTERP_CONFIG", str(config(tmp_path, "[explain]\nshown = 'best'\nrun = 'r'\nmodel = 'm'\n"))
    )

    assert "--shown 'best'" in run("explain", tmp_path).err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[explian]\ntop = 3\n", "[explian] is no command; there is demo"),
        ("top = 3\n", "[top] is no command"),
        ("[explain]\ntpo = 3\n", "[explain] has no option 'tpo'"),
        ("[import]\nseed = 3\n", "[import.seed] is no command; there is "),
        ("[import.folder]\ntpo = 3\n", "[import.folder] has no option 'tpo'"),
        ("[explain\n", "autointerp.toml: "),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, problem: str):
    result = run("--config", config(tmp_path, text), "status", tmp_path)

    assert result.code == 2
    assert problem in result.err
    assert result.err.count("\n") == 1
