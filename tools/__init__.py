"""Programs that the Makefile runs: they build artifacts, write `openapi.json`, tables and sample events."""
