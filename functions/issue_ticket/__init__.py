"""Issuing tickets for the WebSocket."""
