"""Issuing tickets for the WebSocket."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import Response

from shared.use_cases import issue_ticket as use_case
from shared.web.app import ServicesDep, create_app, create_handler
from shared.web.identity import Caller
from shared.web.responses import json_response

app = create_app("issue_ticket")


@app.post("/v1/realtime/tickets")
async def issue_ticket(services: ServicesDep, caller: Caller) -> Response:
    """A ticket that opens one WebSocket connection within 30 seconds, and the address to open."""
    return json_response(asdict(use_case.issue_ticket(services, caller)), 201)


handler = create_handler(app)
