"""Populations of images in every usual form: which images there are, what is said of each, and their bytes."""
