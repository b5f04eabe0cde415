"""Planted generators: what `autointerp benchmark` says of them, against what is known."""
