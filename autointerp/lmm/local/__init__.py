"""The embedded model: small real networks composed into an answerer that needs no endpoint."""
