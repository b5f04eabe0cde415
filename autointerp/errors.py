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


class AutointerpError(Exception):
    """The message is one line that names the thing and the remedy."""


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


def one_line(text: str) -> str:
    """Foreign text as one line that a terminal can show: what is not printable becomes a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
