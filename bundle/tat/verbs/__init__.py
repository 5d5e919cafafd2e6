"""What the verbs of the command ``tat`` do. Their words and their help are in ``bundle.tat_command``."""
