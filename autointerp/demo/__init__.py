"""The bundled demonstration dump."""
