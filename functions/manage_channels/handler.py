"""Channels and their members: the routes of both files beside this one, in one function."""

from __future__ import annotations

from functions.manage_channels import channels, members
from shared.web.app import create_app, create_handler

app = create_app("manage_channels")
app.include_router(channels.router)
app.include_router(members.router)

handler = create_handler(app)
