"""Marking as read, and muting."""

from __future__ import annotations

from fastapi import Response

from functions.mark_read.app import app
from shared.use_cases import mark_read as use_case
from shared.use_cases import set_muted as muting_use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.responses import json_response
from shared.web.schemas import ChannelId, MutedIn, ReadIn


@app.put("/v1/channels/{channel_id}/read")
async def mark_read(services: ServicesDep, caller: Caller, channel_id: ChannelId, body: ReadIn) -> Response:
    """Marks the messages up to a position as read; the position moves back only with `force`."""
    position = use_case.mark_read(services, caller, channel_id, body.last_read_seq, force=body.force)
    return json_response(position)


@app.put("/v1/channels/{channel_id}/muted")
async def set_muted(services: ServicesDep, caller: Caller, channel_id: ChannelId, body: MutedIn) -> Response:
    """Mutes the channel for the caller, or ends that."""
    return json_response(muting_use_case.set_muted(services, caller, channel_id, muted=body.muted))
