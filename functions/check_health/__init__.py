"""Checking health."""
