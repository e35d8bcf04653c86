"""Telling watchers what happens, from the table's stream."""

from __future__ import annotations

from shared.use_cases import dispatch_changes as use_case
from shared.web.stream_events import create_handler

handler = create_handler("dispatch_changes", use_case.dispatch)
