"""Scores in physical units, in the paper's protocol."""
