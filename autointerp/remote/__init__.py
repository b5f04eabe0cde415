"""Folders and files at a URL."""
