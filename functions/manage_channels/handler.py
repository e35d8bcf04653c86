"""The function for channels and their members."""

from __future__ import annotations

from functions.manage_channels import channels, members
from functions.manage_channels.app import app
from shared.web.app import create_handler

__all__ = ["app", "channels", "handler", "members"]  # Importing these modules adds their routes.

handler = create_handler(app)
