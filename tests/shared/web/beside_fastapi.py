"""Routes of our own class, and the same ones as FastAPI would serve them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from mangum import Mangum

from shared.bootstrap import Services
from shared.web.app import IdempotencyKey, ServicesDep, create_app, create_handler, current_services
from shared.web.channel_schemas import MemberIn
from shared.web.identity import Caller
from shared.web.middleware import RequestMiddleware
from shared.web.queries import FetchMessagesQuery, ListChannelsQuery
from shared.web.responses import IfNoneMatch, json_response
from shared.web.routing import FastRoute
from shared.web.schemas import ChannelId, PostIn, ReadIn, UserId

CHANNEL = "0123456789abcdef"


def handler_of(route: type[APIRoute], services: Services) -> Mangum:
    """Routes that return what they were given."""
    app = create_app("test")
    app.router.route_class = route
    app.middleware_stack = RequestMiddleware(
        AsyncExitStackMiddleware(app.router), "test"
    )  # Which FastAPI's own routes ask for.

    @app.get("/v1/channels/{channel_id}/messages")
    async def fetch_messages(
        used: ServicesDep,
        caller: Caller,
        channel_id: ChannelId,
        query: Annotated[FetchMessagesQuery, Query()],
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        return json_response([used is services, caller, channel_id, query.model_dump(), if_none_match])

    @app.get("/v1/channels")
    async def list_channels(query: Annotated[ListChannelsQuery, Query()]) -> Response:
        return json_response(query.model_dump())

    @app.put("/v1/channels/{channel_id}/read")
    async def mark_read(caller: Caller, channel_id: ChannelId, body: ReadIn) -> Response:
        return json_response([caller, channel_id, body.model_dump()])

    @app.post("/v1/channels/{channel_id}/messages")
    async def post_message(
        channel_id: ChannelId, body: PostIn, idempotency_key: IdempotencyKey = None
    ) -> Response:
        return json_response([channel_id, type(body).__name__, body.model_dump(), idempotency_key])

    @app.put("/v1/channels/{channel_id}/members/{user_id}")
    async def put_member(channel_id: ChannelId, user_id: UserId, body: MemberIn | None = None) -> Response:
        return json_response([channel_id, user_id, body and body.model_dump()])

    app.dependency_overrides[current_services] = _giving(services)
    return create_handler(app)


def _giving(services: Services) -> Any:
    async def current() -> Services:
        return services

    return current


def responses(services: Services, made: dict[str, Any]) -> list[tuple[int, Any]]:
    """What a direct route says, and what FastAPI's own says."""
    found = []
    for route in (FastRoute, APIRoute):
        given = handler_of(route, services)(made, None)  # type: ignore[arg-type]  # no context is looked at
        found.append((given["statusCode"], json.loads(given["body"])))
    return found
