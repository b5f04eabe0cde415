"""Each file of this folder is one scorer."""
