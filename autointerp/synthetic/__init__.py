"""Rendered scenes whose truth is known, and features planted in them."""
