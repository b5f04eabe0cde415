"""Activations that other tools have recorded: one file a tool that reads them, and the way to a dump that all share."""
