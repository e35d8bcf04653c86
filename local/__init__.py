"""The local stack: a DynamoDB engine, Redis behind an Upstash REST endpoint, and an API gateway. Never deployed."""
