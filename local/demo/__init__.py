"""Plays real conversations against a running stack and reads them back."""
