"""One folder a Lambda function; each its own routes only."""

from shared.runtime import machine

machine.check()  # before the first library with compiled parts

from shared.runtime import startup  # noqa: E402 - loads such a library

startup.begin()  # before a handler loads FastAPI
