"""The app to which the files beside this one add routes. Routers of their own would not use ``FastRoute``."""

from __future__ import annotations

from shared.web.app import create_app

app = create_app("manage_channels")
