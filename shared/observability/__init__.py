"""Log lines, metrics, and the costs of each request."""
