"""Folders and lists that scans and pairs are found in."""
