"""A page of messages, and one message."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from shared.use_cases import fetch_messages as use_case
from shared.web.app import Use, answer, create_app, create_handler
from shared.web.conditional import IfNoneMatch, etags
from shared.web.identity import Caller
from shared.web.respond import page_answer
from shared.web.schemas import ChannelId, FetchMessagesQuery

app = create_app("fetch_messages")


@app.get("/v1/channels/{channel_id}/messages")
async def fetch_messages(
    services: Use,
    caller: Caller,
    channel_id: ChannelId,
    query: Annotated[FetchMessagesQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A page of messages in ascending order, the latest if no place is named."""
    page = use_case.fetch_messages(services, caller, channel_id, query.window(), etags(if_none_match))
    return page_answer(page)


@app.get("/v1/channels/{channel_id}/messages/{message_id}")
async def fetch_message(services: Use, caller: Caller, channel_id: ChannelId, message_id: str) -> Response:
    """One message."""
    return answer(use_case.fetch_message(services, caller, channel_id, message_id))


handler = create_handler(app)
