"""One folder for each Lambda function, with its routes only."""

from shared.runtime import machine

machine.check()  # before the first compiled library is imported

from shared.runtime import startup  # noqa: E402 - imports a compiled library

startup.begin()  # before a handler imports FastAPI
