"""How a container starts, works in parallel and keeps connections; independent of chat."""
