"""Posting to a thread."""

from __future__ import annotations

from fastapi import Response

from functions.post_message.app import app
from shared.use_cases import post_message as use_case
from shared.use_cases.find_thread import find_thread
from shared.web.app import IdempotencyKey, ServicesDep
from shared.web.identity import Caller
from shared.web.responses import posted_response
from shared.web.routing import BasePath
from shared.web.schemas import BatchIn, ChannelId, PostId, ReplyIn, ReplyPostIn


@app.post("/v1/channels/{channel_id}/messages/{message_id}/replies")
async def post_reply(
    services: ServicesDep,
    caller: Caller,
    base: BasePath,
    channel_id: ChannelId,
    message_id: PostId,
    body: ReplyPostIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replies to a message in its thread: one reply, or up to 25 at adjacent positions, all or none."""
    thread_id = find_thread(services, caller, channel_id, message_id)
    drafts, is_batch = body.drafts(), isinstance(body, BatchIn)
    posted = use_case.post_message(
        services,
        caller,
        thread_id,
        drafts,
        idempotency_key,
        is_batch=is_batch,
        also_in_channel=isinstance(body, ReplyIn) and body.also_in_channel,
    )
    return posted_response(base, thread_id, posted, is_batch=is_batch)
