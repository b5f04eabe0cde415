"""Sparse coders of five libraries, trained on the same tokens and read by the same measures."""
