"""The explorer: pages of a run or a dump, served to a browser."""
