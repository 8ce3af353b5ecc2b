"""Evaluation: the recognitions of products, of which this service alone is the owner."""
