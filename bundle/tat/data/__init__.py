"""How scans are found, listed and read."""
