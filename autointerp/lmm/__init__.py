"""The gateway to the LMM: request, cache, limits, client, parse, answer or failure."""
