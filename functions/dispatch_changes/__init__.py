"""Telling watchers what happens."""
