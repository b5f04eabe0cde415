"""Messages as a Python caller reads them: they are written with options, and name arguments here."""

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from autointerp.errors import AutointerpError


class Keyword(NamedTuple):
    """An option as Python has it."""

    key: str
    choices: tuple[str, ...] = ()
    value: str | None = None
    """What giving the option means where it turns something off."""


_OTHERS = r"\b(?:pip|vllm|npm) [^;,`]*"
_NAMED = re.compile(
    rf"(?P<command>`[^`]*`)|(?P<other>{_OTHERS})"
    r"|(?<![\w-])(?P<option>--[a-z][a-z-]*)(?:(?P<space> )(?=['\"\d])| (?P<word>[a-z]+)(?![\w-]))?"
)
"""A command between backticks, one of another program, or an option with its value or the word that follows."""
_OWN = re.compile(r"`autointerp (?:(?P<group>import|train|batch|benchmark) )?(?P<name>[a-z]+(?:-[a-z]+)*)[^`]*`")
WORDS = ("none", "local", "all")
"""Values that options take beside what may be chosen from."""


def in_python(text: str, keywords: Mapping[str, Keyword]) -> str:
    """A message with arguments in the place of options, and functions in the place of commands.

    Args:
        text: the message.
        keywords: by option, of the function that was called; other options are named as they would be there.
    """

    def told(found: re.Match[str]) -> str:
        if (command := found["command"]) is not None:
            return _function(command, keywords)
        return found[0] if found["other"] is not None else _keyword(found, keywords)

    return _NAMED.sub(told, text)


def _function(command: str, keywords: Mapping[str, Keyword]) -> str:
    """`autointerp explain --run` as the function; of any other text between backticks the options."""
    own = _OWN.fullmatch(command)
    if own is not None:
        return f"`autointerp.{'_'.join(filter(None, own.groups())).replace('-', '_')}`"
    foreign = re.match(f"`{_OTHERS}", command) is not None
    return command if foreign else f"`{in_python(command[1:-1], keywords)}`"


def _keyword(found: re.Match[str], keywords: Mapping[str, Keyword]) -> str:
    option, word = found["option"], found["word"]
    keyword = keywords.get(option) or Keyword(option[2:].replace("-", "_"))
    if keyword.value is not None:
        return f"{keyword.key}={keyword.value}" + (f" {word}" if word else "")
    if found["space"]:
        return f"{keyword.key}="
    if word is not None and word in (*keyword.choices, *WORDS):
        return f"{keyword.key}={word!r}"
    return f"{keyword.key} {word}" if word else keyword.key


@contextmanager
def speaking_python(keywords: Callable[[], Mapping[str, Keyword]] = dict) -> Iterator[None]:
    """What is wrong inside the context names arguments.

    Args:
        keywords: gives those of the function that was called; asked when something is wrong.
    """
    try:
        yield
    except AutointerpError as e:
        e.args = (in_python(str(e), keywords()),)
        raise


@functools.cache
def speaks_python(function: Callable[..., object]) -> Callable[..., object]:
    """A function, or a context, of the package's face, whose messages name arguments; commands call it as it is."""
    if not inspect.isgeneratorfunction(inspect.unwrap(function)):
        return functools.wraps(function)(speaking_python()(function))

    @functools.wraps(function)
    @contextmanager
    def held(*args: object, **keywords: object) -> Iterator[object]:
        with speaking_python(), function(*args, **keywords) as value:  # pyright: ignore[reportGeneralTypeIssues]
            yield value

    return held
