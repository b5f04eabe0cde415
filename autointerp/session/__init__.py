"""Opens what a command asks: the gateway to a model, an embedder, the judges of candidates."""
