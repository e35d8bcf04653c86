"""The list of threads."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.list_channels.app import app
from shared.use_cases import list_threads as threads_use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.queries import ListThreadsQuery
from shared.web.responses import json_response


@app.get("/v1/threads")
async def list_threads(
    services: ServicesDep, caller: Caller, query: Annotated[ListThreadsQuery, Query()]
) -> Response:
    """The threads that the caller follows, latest reply first."""
    return json_response(threads_use_case.list_threads(services, caller, query.listing()))
