"""One module a command: its settings record, and `run`, which does the work."""
