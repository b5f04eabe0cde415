"""Builds the documentation as a site in site/, strictly: a page, link or anchor that is missing ends it.

Run by `make docs`. Pages are gathered in build/pages as they lie in the repository, so that their links lead to the
same files. mkdocstrings reads build/api/autointerp.py, the public names with their signatures as Python has them,
since those of commands are made from records when they are loaded.
"""

import inspect
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import autointerp
from autointerp.options import docstring_of

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "pages"
API = ROOT / "build" / "api" / "autointerp.py"
SITE = ROOT / "site"
SHOWN = ("*.md", "docs/**/*", "benchmarks/**/*.md", "benchmarks/**/*.svg", "autointerp/demo/LICENCES.md", "LICENSE")
SHIM = ROOT / "scripts" / "iframe-worker" / "shim.js"
"""iframe-worker 1.0.4 of npm: lets the search run in pages that a browser opens from a folder, without a server."""
FETCHED_SHIM = "https://unpkg.com/iframe-worker/shim"
WORK = ("progress", "outbox", "stop")
"""Arguments of commands that only the command line gives."""
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|<link\b(?![^>]*canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|url\([\"']?(?:https?:)?//[^\s\"')]+|@import[^;]*//[^;]+"
)


def gather() -> None:
    """Copies what the site shows."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for file in (path for pattern in SHOWN for path in ROOT.glob(pattern)):
        if file.is_file() and "__pycache__" not in file.parts:
            (to := PAGES / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def annotation(kind: object) -> str:
    """A type as a reader writes it, without what validates it."""
    if typing.get_origin(kind) is typing.Annotated:
        return annotation(typing.get_args(kind)[0])
    if typing.get_origin(kind) is typing.Union:
        return " | ".join(annotation(part) for part in typing.get_args(kind))
    if kind is type(None):
        return "None"
    text = re.sub(r"Annotated\[(\w+), [^\]]*\]", r"\1", inspect.formatannotation(kind))
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)


def default(value: object) -> str:
    """A default as one writes it; a record without values of its own by its name."""
    text = repr(value)
    return text if not hasattr(type(value), "model_fields") else f"{type(value).__name__}(...)"


def parameters(signature: inspect.Signature) -> Iterator[str]:
    """Each as it stands in a definition."""
    keyword = False
    for name, parameter in signature.parameters.items():
        if name in WORK:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            keyword = True
            yield "*"
        stars = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
        kind = "" if parameter.annotation is parameter.empty else f": {quoted(annotation(parameter.annotation))}"
        given = "" if parameter.default is parameter.empty else f" = {default(parameter.default)}"
        yield f"{stars}{name}{kind}{given}"


def quoted(text: str) -> str:
    """An annotation that holds whatever characters."""
    return text if text.isidentifier() else repr(text)


def record(kind: type[BaseModel]) -> str:
    """The source of a record with all fields, those of its bases included."""
    lines = [f"class {kind.__name__}:", f'    """{inspect.getdoc(kind)}"""']
    for name, field in kind.model_fields.items():
        value = "" if field.is_required() else f" = {default(field.get_default(call_default_factory=True))}"
        lines += [f"    {name}: {quoted(annotation(field.annotation))}{value}", f'    """{docstring_of(kind, name)}"""']
    return "\n".join(lines)


def definition(name: str) -> str:
    """The source of a public name, as mkdocstrings reads it."""
    value = getattr(autointerp, name)
    if inspect.isclass(value):
        return record(value) if issubclass(value, BaseModel) else inspect.getsource(value)
    signature = inspect.signature(value)
    back = signature.return_annotation
    gives = "" if back is signature.empty or back is None else f" -> {quoted(annotation(back))}"
    text = "\n".join(f"    {line}" for line in (inspect.getdoc(value) or "").splitlines())
    return f'def {name}({", ".join(parameters(signature))}){gives}:\n    """{text.strip()}\n    """\n'


def bring_shim() -> None:
    """Puts beside the pages the script of the plugin `offline`, which they would fetch."""
    here = SITE / "assets" / "javascripts" / "iframe-worker.js"
    shutil.copyfile(SHIM, here)
    for page in SITE.rglob("*.html"):
        to = os.path.relpath(here, page.parent)
        page.write_text(page.read_text("utf-8").replace(FETCHED_SHIM, to), "utf-8")


def main() -> int:
    """Builds the site; 1 if it would fetch anything, or what zensical ends with."""
    gather()
    API.parent.mkdir(parents=True, exist_ok=True)
    API.write_text("\n\n".join(definition(name) for name in dir(autointerp) if not name.startswith("__")))
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT, env=os.environ | {"NO_COLOR": "1"})
    if built.returncode:
        return built.returncode
    bring_shim()
    outside = [
        f"{file.relative_to(SITE)}: {found}"
        for suffix in ("html", "css")
        for file in sorted(SITE.rglob(f"*.{suffix}"))
        for found in FETCHED.findall(file.read_text())
    ]
    print(*outside or ["site: nothing is fetched from elsewhere"], sep="\n")
    return int(bool(outside))


if __name__ == "__main__":
    raise SystemExit(main())
