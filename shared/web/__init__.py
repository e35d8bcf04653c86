"""HTTP: validates requests, identifies callers, and turns results and errors into responses."""
