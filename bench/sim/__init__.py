"""The deterministic simulator: virtual time, containers that die, a storage and a Redis that fail, and a judge."""
