"""What operators see: log lines, metrics, and what each request cost."""
