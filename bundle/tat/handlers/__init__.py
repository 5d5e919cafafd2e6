"""Ignite handlers and metrics of training and validation."""
