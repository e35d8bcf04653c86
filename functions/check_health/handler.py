"""The health check."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from shared.use_cases import check_health as use_case
from shared.web.app import ServicesDep, create_app, create_handler
from shared.web.queries import HealthQuery
from shared.web.responses import json_response

app = create_app("check_health")


@app.get("/v1/healthz")
async def check_health(services: ServicesDep, query: Annotated[HealthQuery, Query()]) -> Response:
    """The state of the service; needs no token."""
    health = use_case.check_health(services, deep=query.deep)
    return json_response(health, 503 if health["status"] == "down" else 200)


@app.head("/v1/healthz")
async def probe_health(services: ServicesDep, query: Annotated[HealthQuery, Query()]) -> Response:
    """The same without a body, for uptime probes; no other path accepts HEAD."""
    return await check_health(services, query)


handler = create_handler(app, uses_redis=True)
