"""The app that the files of routes beside this one add to. Routers of their own would leave out ``FastRoute``."""

from __future__ import annotations

from shared.web.app import create_app

app = create_app("post_message")
