"""Scorers, one a file, over shared sampling, judging and statistics."""
