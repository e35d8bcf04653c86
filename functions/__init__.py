"""One folder a Lambda function; each its own routes only."""

from shared import startup

startup.begin()  # before a handler loads FastAPI
