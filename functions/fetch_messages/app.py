"""The app that all files of routes beside this one add to. Routers of their own would leave out ``FastRoute``."""

from __future__ import annotations

from shared.web.app import create_app

app = create_app("fetch_messages")
