"""The lists of channels, mentions and threads: the routes of both files beside this one, in one function."""

from __future__ import annotations

from functions.list_channels import channels, threads
from functions.list_channels.app import app
from shared.web.app import create_handler

__all__ = ["app", "channels", "handler", "threads"]  # Imported, they have added their routes to the app.

handler = create_handler(app, uses_redis=True)
