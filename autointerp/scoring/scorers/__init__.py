"""One file a scorer."""
