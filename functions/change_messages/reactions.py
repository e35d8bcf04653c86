"""Reacting to messages."""

from __future__ import annotations

from fastapi import Response

from functions.change_messages.app import app
from shared.use_cases import react_to_messages
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.responses import json_response
from shared.web.schemas import ChannelId, EmojiInPath, PostId


@app.put("/v1/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/me")
async def add_reaction(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId, emoji: EmojiInPath
) -> Response:
    """Reacts to a message with one emoji; the message, with the reaction in it."""
    return json_response(react_to_messages.add_reaction(services, caller, channel_id, message_id, emoji))


@app.delete("/v1/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/me")
async def remove_reaction(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId, emoji: EmojiInPath
) -> Response:
    """Removes one's own reaction."""
    react_to_messages.remove_reaction(services, caller, channel_id, message_id, emoji)
    return Response(status_code=204)
