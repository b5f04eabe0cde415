"""The feature dump on disk: read, write, check, import."""
