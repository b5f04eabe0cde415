"""A run in forms that other tools read."""
