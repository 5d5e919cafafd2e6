"""What scans are and what would become of them, told without restoring them."""
