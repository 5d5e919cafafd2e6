"""What becomes of each case of a run: its record, its fingerprint, whether it is finished, the table at the end."""
