"""The cache: memory and Upstash Redis in front of the log. It saves reads; no decision depends on it."""
