"""Engines: the loop over training steps, and the loop over cases."""
