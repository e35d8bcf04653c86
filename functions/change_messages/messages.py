"""Editing and deleting messages, and pinning them."""

from __future__ import annotations

from fastapi import Response

from functions.change_messages.app import app
from shared.use_cases import delete_messages, edit_messages, pin_messages
from shared.web.app import IdempotencyKey, ServicesDep
from shared.web.conditional import IfMatch, versions
from shared.web.identity import Caller
from shared.web.responses import edited_response
from shared.web.schemas import ChannelId, MessageChange, PostId


@app.patch("/v1/channels/{channel_id}/messages/{message_id}")
async def edit_message(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    message_id: PostId,
    body: MessageChange,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Changes the text or metadata of one's own message; with `If-Match` only if nobody has edited it since."""
    edited = edit_messages.edit_message(
        services, caller, channel_id, message_id, body.changes(), versions(if_match), idempotency_key
    )
    return edited_response(edited)


@app.delete("/v1/channels/{channel_id}/messages/{message_id}")
async def delete_message(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """Deletes a message: one's own, or any as a moderator or owner. It keeps its position, without text."""
    delete_messages.delete_message(services, caller, channel_id, message_id)
    return Response(status_code=204)


@app.put("/v1/channels/{channel_id}/messages/{message_id}/pin")
async def pin_message(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """Pins a message."""
    pin_messages.pin_message(services, caller, channel_id, message_id)
    return Response(status_code=204)


@app.delete("/v1/channels/{channel_id}/messages/{message_id}/pin")
async def unpin_message(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """Unpins a message."""
    pin_messages.unpin_message(services, caller, channel_id, message_id)
    return Response(status_code=204)
