"""Coders that other tools wrote, read as they are: one file a format, recognised by content."""
