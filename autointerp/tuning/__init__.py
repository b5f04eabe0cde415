"""The training of an explainer by the scores of its explanations."""
