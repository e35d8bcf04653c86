"""Posting to a channel."""

from __future__ import annotations

from fastapi import Response

from functions.post_message.app import app
from shared.use_cases import post_message as use_case
from shared.web.app import IdempotencyKey, ServicesDep
from shared.web.identity import Caller
from shared.web.responses import posted_response
from shared.web.routing import BasePath
from shared.web.schemas import BatchIn, ChannelId, PostIn


@app.post("/v1/channels/{channel_id}/messages")
async def post_message(
    services: ServicesDep,
    caller: Caller,
    base: BasePath,
    channel_id: ChannelId,
    body: PostIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Posts one message, or up to 25 at adjacent positions, all or none; in slow mode only one."""
    drafts, is_batch = body.drafts(), isinstance(body, BatchIn)
    posted = use_case.post_message(services, caller, channel_id, drafts, idempotency_key, is_batch=is_batch)
    return posted_response(base, channel_id, posted, is_batch=is_batch)
