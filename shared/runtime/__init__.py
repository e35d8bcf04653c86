"""How a container starts, works in parallel and keeps connections; knows nothing of chat."""
