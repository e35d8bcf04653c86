"""Posting to channels and threads: the routes of both files beside this one, in one function."""

from __future__ import annotations

from functions.post_message import messages, replies
from functions.post_message.app import app
from shared.web.app import create_handler

__all__ = ["app", "handler", "messages", "replies"]  # Imported, they have added their routes to the app.

handler = create_handler(app)
