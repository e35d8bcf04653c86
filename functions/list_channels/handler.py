"""The lists of channels, mentions and threads."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from shared.use_cases import list_channels as use_case
from shared.use_cases import list_mentions as mentions_use_case
from shared.use_cases import list_threads as threads_use_case
from shared.web.app import ServicesDep, create_app, create_handler
from shared.web.identity import Caller
from shared.web.queries import ListChannelsQuery, ListMentionsQuery, ListThreadsQuery
from shared.web.responses import json_response, list_response

app = create_app("list_channels")


@app.get("/v1/channels")
async def list_channels(
    services: ServicesDep, caller: Caller, query: Annotated[ListChannelsQuery, Query()]
) -> Response:
    """The caller's channels, latest activity first; with `scope=public`, channels the caller may join, by name."""
    find = use_case.list_public_channels if query.scope == "public" else use_case.list_channels
    return list_response(find(services, caller, query.listing()))


@app.get("/v1/mentions")
async def list_mentions(
    services: ServicesDep, caller: Caller, query: Annotated[ListMentionsQuery, Query()]
) -> Response:
    """Messages that name the caller, newest first."""
    page = mentions_use_case.list_mentions(services, caller, query.limit, query.cursor)
    return json_response(page)


@app.get("/v1/threads")
async def list_threads(
    services: ServicesDep, caller: Caller, query: Annotated[ListThreadsQuery, Query()]
) -> Response:
    """The threads that the caller follows, latest reply first."""
    return json_response(threads_use_case.list_threads(services, caller, query.listing()))


handler = create_handler(app, uses_redis=True)
