"""Telemetry is seen on requests, so its tests use what those of the HTTP side do."""

from tests.shared.web.conftest import chat, log

__all__ = ["chat", "log"]
