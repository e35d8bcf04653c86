"""Imported by the fork server alone, once: each writer then begins as a container does that is already warm.

What is made here is made before any thread or connection, so that it can be forked.
"""

from __future__ import annotations

from functions.change_messages.handler import handler as change_handler
from functions.post_message.handler import handler
from shared.bootstrap import services

services()
__all__ = ["change_handler", "handler", "services"]
