"""Marking as read."""
