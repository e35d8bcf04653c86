"""Upstash's REST endpoint, in front of a Redis server on this machine."""
