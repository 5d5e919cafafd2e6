"""Operators for MONAI Deploy applications; importing a module here needs the extra ``deploy``."""
