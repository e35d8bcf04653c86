"""The fixtures of the tests of responses, for those of log lines."""

from __future__ import annotations

from tests.shared.web.conftest import chat, log

__all__ = ["chat", "log"]
