"""Receiving frames from clients."""
