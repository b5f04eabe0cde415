"""How records show themselves in a notebook."""
