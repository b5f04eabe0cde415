"""Finds, fills and digests the templates of prompts/: a template has a `system` and a `user` block."""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from autointerp.errors import PromptError
from autointerp.lmm.request import ImagePart, Message, TextPart

_MARKER = re.compile("\x02(\\d+)\x03")
_OTHERS = re.compile(r"\{%[-+]?\s*(?:include|extends|import|from)\b")


class Slot:
    """Where a picture goes: `{{ slot }}` in a template puts it there."""

    def __init__(self, index: int, rendering: str) -> None:
        self._index = index
        self.rendering = rendering
        """`outline`, `crop`, `mask`, `full`, `erased` or `sheet`."""

    def __str__(self) -> str:
        return f"\x02{self._index}\x03"


@dataclass(frozen=True, slots=True)
class ShownImage:
    """What a template knows of one image."""

    number: int
    """From 1 within its block."""
    level: str
    """`strong`, `weaker`, a number, or empty."""
    slots: tuple[Slot, ...]
    """Its pictures."""
    without: "ShownImage | None" = None
    """Of an active image: itself without a region, on which the feature is silent; numbered among the silent ones."""


_FIELDS = frozenset(("number", "level", "slots", "rendering", "without"))
_OF_LOOPS = frozenset(("first", "last", "index", "index0", "length"))

Value = str | int | bool | ShownImage | Slot | Sequence["Value"] | Mapping[str, str]
"""What a template's variable may be."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template, compiled, with its digest."""

    name: str
    template: Template
    digest: str
    """SHA-256 of the source, hex."""
    source: str = ""

    def asks_for(self, key: str) -> bool:
        """Whether the template names a key of the reply, so that one that may be left out belongs to its schema."""
        return f'"{key}"' in self.source

    @property
    def is_whole(self) -> bool:
        """Whether its digest covers all of it: it takes in no other template."""
        return _OTHERS.search(self.source) is None

    def fill(self, variables: Mapping[str, Value], pictures: Sequence[ImagePart]) -> tuple[Message, ...]:
        """The system and the user message; each slot becomes the picture of its index.

        Raises:
            PromptError: the template uses a variable that this prompt does not have, or leaves a picture out.
        """
        turns: list[Message] = []
        used: set[int] = set()
        for role in ("system", "user"):
            text = self._render(role, variables)
            parts = _split(text, pictures)
            used.update(int(i) for i in _MARKER.findall(text))
            if parts:
                turns.append(Message(role=role, parts=parts))
        if len(used) != len(pictures):
            raise PromptError(f"{self.name}: the template leaves out {len(pictures) - len(used)} of the pictures")
        return tuple(turns)

    def _render(self, block: str, variables: Mapping[str, Value]) -> str:
        try:
            context = self.template.new_context(dict(variables))
            return "".join(self.template.blocks[block](context)).strip()
        except UndefinedError as e:
            known = ", ".join(sorted(variables))
            raise PromptError(f"{self.name}: {e.message}; this prompt has: {known}") from e
        except (TemplateError, TypeError, ValueError, ArithmeticError) as e:
            raise PromptError(f"{self.name}: {e}") from e


def _split(text: str, pictures: Sequence[ImagePart]) -> tuple[TextPart | ImagePart, ...]:
    parts: list[TextPart | ImagePart] = []
    for i, piece in enumerate(_MARKER.split(text)):
        if i % 2:
            parts.append(pictures[int(piece)])
        elif piece.strip():
            parts.append(TextPart(piece.strip()))
    return tuple(parts)


def plain(text: str) -> str:
    """Foreign text made safe to stand in a prompt: control characters, which mark pictures, become spaces."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


def shipped_folder() -> Path:
    """The templates that come with the package."""
    inside = Path(__file__).parent / "_prompts"
    # A checkout keeps them at the top level, where people look for them; a wheel carries them inside.
    return inside if inside.is_dir() else Path(__file__).parent.parent / "prompts"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which asks of each attribute whether it is safe; the fields of our own records and loops are."""

    def getattr(self, obj: object, attribute: str) -> object:
        """An attribute as a template sees it."""
        if attribute in _FIELDS and isinstance(obj, ShownImage | Slot):
            return getattr(obj, attribute)
        if attribute in _OF_LOOPS and type(obj) is LoopContext:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


@functools.lru_cache(maxsize=64)
def load_prompt(name: str, folder: Path | None) -> Prompt:
    """The template `name` (e.g. `explain`, `domains/physical-plausibility`) from `folder`, else the shipped one.

    Raises:
        PromptError: no such template, or it does not parse, or a block is missing.
    """
    if folder is not None and not folder.is_dir():
        raise PromptError(f"{folder}: no such folder of prompts")
    folders = [p for p in (folder, shipped_folder()) if p is not None]
    environment = _Sandbox(
        loader=FileSystemLoader(folders), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        source, filename, _ = FileSystemLoader(folders).get_source(environment, f"{name}.jinja")
        template = environment.get_template(f"{name}.jinja")
    except TemplateNotFound as e:
        raise PromptError(f"{name}.jinja: no such prompt in {' or '.join(map(str, folders))}") from e
    except TemplateSyntaxError as e:
        raise PromptError(f"{e.filename or name}: line {e.lineno}: {e.message}") from e
    except (TemplateError, OSError, ValueError) as e:
        raise PromptError(f"{name}.jinja: {e}") from e
    missing = {"system", "user"} - set(template.blocks)
    if missing:
        raise PromptError(f"{filename}: no block `{sorted(missing)[0]}`; a prompt has the blocks system and user")
    return Prompt(name=name, template=template, digest=hashlib.sha256(source.encode()).hexdigest(), source=source)


def domain_names(folder: Path | None) -> list[str]:
    """Names of the domains that can be asked for."""
    folders = [p for p in (folder, shipped_folder()) if p is not None]
    return sorted({p.stem for f in folders for p in (f / "domains").glob("*.jinja")})


def joint_digest(prompts: Sequence[Prompt]) -> str:
    """First 12 hex digits of the SHA-256 over the templates' digests, in order."""
    return hashlib.sha256("".join(p.digest for p in prompts).encode()).hexdigest()[:12]
