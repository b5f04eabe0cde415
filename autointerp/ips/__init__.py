"""Inverse probability scaling: rewards divided by how often their outcome was sampled."""
