"""Channels and their members: the routes of both files beside this one, in one function."""

from __future__ import annotations

from functions.manage_channels import channels, members
from functions.manage_channels.app import app
from shared.web.app import create_handler

__all__ = ["app", "channels", "handler", "members"]  # Imported, the two have added their routes to the app.

handler = create_handler(app)
