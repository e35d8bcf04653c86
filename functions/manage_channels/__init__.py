"""Managing channels and their members."""
