"""Changes of messages: the routes of both files beside this one, in one function."""

from __future__ import annotations

from functions.change_messages import messages, reactions
from functions.change_messages.app import app
from shared.web.app import create_handler

__all__ = ["app", "handler", "messages", "reactions"]  # Imported, the two have added their routes to the app.

handler = create_handler(app)
