"""Explanations: what the explainer is shown and asked, how candidates are told apart, in which order features come."""
