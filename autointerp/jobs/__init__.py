"""One module a command: the typed functions that the command line and Python call."""
