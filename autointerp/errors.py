"""What can go wrong that a user can mend: shown as one line, exit code 2.

```
AutointerpError
├── DumpError       a feature dump that cannot be read
├── RunError        a run folder that cannot be used
├── PromptError     a template that cannot be found or filled
├── SettingsError   an option or a configuration value
│   └── ExtraError  what an extra of the package would bring is not installed
├── EndpointError   an endpoint that is not there or cannot do the work
└── ImageError      one image that cannot be decoded (recorded as a failure, not shown)
```
"""

import re
import shlex

_MOST = 2000
"""Characters of a message."""
_LOGIN = re.compile(r"\b([a-z][a-z0-9+.-]+:/{1,2})[^\s/\"\'\\<>]*@", re.IGNORECASE)
_KEY = re.compile(
    r"([?&;][\w.-]*(?:key|token|sig|signature|secret|passwo?r?d|auth|credential)=)[^\s&;\"'\\<>)\]]+",
    re.IGNORECASE,
)


class AutointerpError(Exception):
    """The message is one line that names the thing and the remedy, without keys in addresses."""

    def __init__(self, message: str = "") -> None:
        text = without_secrets(message)
        # Of a foreign text that is quoted in it the middle goes, and what to do at the end stays.
        super().__init__(text if len(text) <= _MOST else f"{text[: _MOST // 2]} … {text[-_MOST // 4 :]}")


class DumpError(AutointerpError):
    """A feature dump, or a source to import one from, is not as the format says."""


class RunError(AutointerpError):
    """A run folder is missing, foreign, busy or not writable."""


class PromptError(AutointerpError):
    """A prompt template is missing, broken or names an unknown variable."""


class SettingsError(AutointerpError):
    """An option has a value that cannot be used."""


class ExtraError(SettingsError, ImportError):
    """An extra of the package is not installed; also an ImportError, for whoever imports a module that needs it."""


class EndpointError(AutointerpError):
    """The endpoint is not there, refuses the key, or has no model that sees images."""


class ImageError(AutointerpError):
    """One image cannot be decoded; the feature that needs it records a failure."""


class ImageAwayError(ImageError):
    """One image cannot be fetched now, and perhaps can be later; the feature that needs it stays pending."""


def typed(place: object) -> str:
    """Writes a path as it is typed in a command, quoted where a shell would split it."""
    return shlex.quote(str(place))


def one_line(text: str) -> str:
    """Foreign text as one line for a terminal: what is not printable becomes a space, and keys in addresses go."""
    return " ".join(printable(without_secrets(text)).split())


def excerpt(text: str, most: int = 200) -> str:
    """Foreign text as one line of at most so many characters, cut after a sentence or else between words.

    Args:
        text: what another program said.
        most: characters.
    """
    line = one_line(text)
    if len(line) <= most:
        return line
    whole, dot, _ = line[:most].rpartition(". ")
    return whole if dot else line[: most - 2].rpartition(" ")[0] + " …"


def printable(text: str) -> str:
    """The text with a space for each character that is not printable.

    Among these are escapes and other control characters, those that turn the direction of writing, and invisible ones.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def plain_cell(text: str) -> str:
    """A text for a table, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def without_secrets(text: str) -> str:
    """The text without user names, passwords and keys that stand in addresses, e.g. `https://…@host/?api_key=…`."""
    return _KEY.sub(r"\1…", _LOGIN.sub(r"\1…@", text)) if "@" in text or "=" in text else text
