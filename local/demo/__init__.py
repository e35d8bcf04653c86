"""Posts real conversations to a running stack and reads them back."""
