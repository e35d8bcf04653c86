"""What the Makefile runs: builds artifacts, writes `openapi.json`, tables and sample events."""
