"""Several explanations of one feature: candidates, clustered by meaning, weighed by inverse probability."""
