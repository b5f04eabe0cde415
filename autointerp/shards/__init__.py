"""The features of a run in pieces, worked on by several processes, and their merging."""
