"""What the documents name exists."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from standin.commands import all_commands

import autointerp
from autointerp.cli.main import COMMANDS, GROUPS, program

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
OUTSIDE_OPTIONS = {
    "--mmproj",
    "--port",
    "--no-deps",
    "--work",
    "--large",
    "--measure",
    "--memory",
    "--pairs",
    "--processes",
    "--latents",
    "--only",
    "--write",
    "--quick",
    "--answers",
    "--others",
} | {
    *("--max-model-len", "--limit-mm-per-prompt", "--max-num-seqs", "--enable-prefix-caching", "--data-parallel-size"),
    *(
        "--array",
        "--gres",
        "--wrap",
        "--model-path",
        "--parallel",
        "--enable-lora",
        "--max-lora-rank",
        "--lora-modules",
    ),
}
OUTSIDE_OPTIONS |= {
    "--block",
    "--reason",
    "--reason-message",
    "--deadline-remaining-seconds",
    "--strikes",
    "--explained",
    "--scored",
}
OUTSIDE_OPTIONS |= {"--job-name", "--array", "--cpus-per-task", "--mem", "--time", "--requeue", "--dependency"} | {
    "--build-arg",
    "--gpus-per-node",
    "--from-literal",
    "--for",
    "--timeout",
    "--strict",
    "--ips-beta",
    "--ips-epsilon",
    "--concurency",
}
"""Options of other programs that the pages show, former ones, and one that is mistyped on purpose."""


def options() -> set[str]:
    commands = (program(), *all_commands().values())
    named = (name for command in commands for p in command.params for name in (*p.opts, *p.secondary_opts))
    return {*named, "--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_heading_of_a_page_lies_inside_a_block_of_code(page: Path):
    blocks = re.split(r"^```.*$", page.read_text(), flags=re.MULTILINE)

    assert len(blocks) % 2 == 1
    assert [line for code in blocks[1::2] for line in code.splitlines() if line.startswith("## ")] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda p: p.name)
def test_every_page_opens_with_what_its_reader_can_do(page: Path):
    opening = re.sub(r"<!--.*?-->|^# .*$", "", page.read_text(), flags=re.MULTILINE).split()

    assert opening[:4] in (["With", "this", "page", "you"], ["After", "this", "page", "you"])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_to_a_file_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())

    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_named_is_an_option(page: Path):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()))

    assert named - options() - OUTSIDE_OPTIONS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_named_is_a_command(page: Path):
    named = set(re.findall(r"(?:^|`)autointerp (?:--config \S+ )?([a-z]+)\b", page.read_text(), re.MULTILINE))

    assert named - {words[0] for words in all_commands()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_environment_variable_named_is_read_somewhere(page: Path):
    source = "".join(p.read_text() for p in (ROOT / "autointerp").rglob("*.py"))

    named = set(re.findall(r"\bAUTOINTERP_[A-Z_]+\b", page.read_text()))

    assert {name for name in named if name not in source} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_script_named_is_there(page: Path):
    named = set(re.findall(r"\b(?:scripts|benchmarks|docs|prompts)/[\w./-]+\.(?:py|md|jinja|toml)\b", page.read_text()))
    named -= {"prompts/domains/medical-artefacts.jinja"}  # the reader's own, in an example

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_python_import_shown_works(page: Path):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert [a.name for a in node.names if not hasattr(module, a.name)] == []


def test_every_public_name_can_be_had():
    assert [name for name in autointerp.__all__ if getattr(autointerp, name, None) is None] == []


def test_every_public_name_has_its_place_on_the_page_of_the_python_api():
    shown = re.findall(r"^::: autointerp\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)

    former = {"batch_calibrate", "batch_explain", "batch_score"}
    assert sorted(shown) == sorted(name for name in {*dir(autointerp)} - former if not name.startswith("_"))


def test_every_command_is_a_function_of_the_package():
    modules = {*COMMANDS.values(), *(name for _, names in GROUPS.values() for name in names.values())}

    assert modules - {"demo"} - set(autointerp.__all__) == set()


def test_every_function_named_on_the_python_page_is_public():
    named = set(re.findall(r"autointerp\.(\w+)\(", (ROOT / "docs" / "python.md").read_text()))

    assert named - set(autointerp.__all__) == set()


def test_no_page_and_no_message_installs_from_an_index_that_lacks_the_package():
    sources = [*PAGES, *(ROOT / "autointerp").rglob("*.py")]

    assert [str(p) for p in sources if "pip install 'autointerp" in p.read_text()] == []
