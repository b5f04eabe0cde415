"""Prints that the explorer has ended."""

import atexit
import os
import sys

from autointerp.cli.printing import tell
from autointerp.commands.view import View
from autointerp.jobs.view import Served


def show(result: Served, settings: View, *, as_json: bool) -> int:
    """Prints nothing but, with --json, what was served, and ends the process.

    Native threads that read the dump and its texts may still run; the end of the interpreter would free what they use.
    """
    code = tell((), {"served": str(result.what)}, as_json=as_json)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
