"""Posting messages."""
