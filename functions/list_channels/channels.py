"""The lists of channels and of mentions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.list_channels.app import app
from shared.use_cases import list_channels as use_case
from shared.use_cases import list_mentions as mentions_use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.queries import ListChannelsQuery, ListMentionsQuery
from shared.web.responses import json_response, list_response


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
