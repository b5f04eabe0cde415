"""One module a command: how its result is printed, and the exit code."""
