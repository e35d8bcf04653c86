"""Opening and closing WebSocket connections."""
