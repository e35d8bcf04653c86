"""Listing channels."""
