"""The cache: memory and Upstash Redis in front of the log. It saves reading again; it decides nothing."""
