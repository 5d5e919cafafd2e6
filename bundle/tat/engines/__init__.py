"""Handlers that MONAI and Ignite lack."""
