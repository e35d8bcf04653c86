"""Changing messages."""
