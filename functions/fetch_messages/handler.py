"""Reading messages and their changes: the routes of the files beside this one, in one function."""

from __future__ import annotations

from functions.fetch_messages import changes, messages, replies
from functions.fetch_messages.app import app
from shared.web.app import create_handler

__all__ = [
    "app",
    "changes",
    "handler",
    "messages",
    "replies",
]  # Imported, they have added their routes to the app.

handler = create_handler(app, uses_redis=True)
