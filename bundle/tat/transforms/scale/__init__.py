"""Scaling of intensities to the range of the network, and the way back."""
