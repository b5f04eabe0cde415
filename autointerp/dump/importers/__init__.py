"""Importers: foreign files to dumps, one kind a file."""
