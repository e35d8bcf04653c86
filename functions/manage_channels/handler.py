"""The function for channels, their members, and what keeps order among these."""

from __future__ import annotations

from functions.manage_channels import blocks, channels, members, moderation
from functions.manage_channels.app import app
from shared.web.app import create_handler

# Importing these modules adds their routes.
__all__ = ["app", "blocks", "channels", "handler", "members", "moderation"]

handler = create_handler(app)
