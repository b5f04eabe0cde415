"""Explains sparse features of vision models with a multimodal model and measures each explanation."""
