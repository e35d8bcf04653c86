"""Creating, reading, changing, archiving and unarchiving channels."""

from __future__ import annotations

from fastapi import Response

from functions.manage_channels.app import app
from shared.use_cases import manage_channels as use_case
from shared.web.app import IdempotencyKey, ServicesDep
from shared.web.channel_schemas import ArchivedIn, ChannelChange, ChannelIn
from shared.web.identity import Caller
from shared.web.responses import (
    IfMatch,
    IfNoneMatch,
    channel_response,
    created_channel,
    known_versions,
    versions,
)
from shared.web.routing import BasePath
from shared.web.schemas import ChannelId


@app.post("/v1/channels")
async def create_channel(
    services: ServicesDep,
    caller: Caller,
    base: BasePath,
    body: ChannelIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Creates a channel owned by the caller; the same members share one direct or group channel.

    If an earlier request with the same key or for the same members created the channel, the response is that channel
    in its current state.
    """
    made = use_case.create_channel(services, caller, body.plan(caller), idempotency_key)
    return created_channel(base, made)


@app.get("/v1/channels/{channel_id}")
async def get_channel(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, if_none_match: IfNoneMatch = None
) -> Response:
    """A channel, with the caller's role and unread count."""
    channel = use_case.get_channel(services, caller, channel_id)
    return channel_response(channel, known=known_versions(if_none_match))


@app.patch("/v1/channels/{channel_id}")
async def update_channel(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    body: ChannelChange,
    if_match: IfMatch = None,
) -> Response:
    """Changes name, topic or settings; with `If-Match` only if the channel still has that version."""
    channel = use_case.update_channel(services, caller, channel_id, body.changes(), versions(if_match))
    return channel_response(channel)


@app.delete("/v1/channels/{channel_id}")
async def archive_channel(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, if_match: IfMatch = None
) -> Response:
    """Archives the channel: members can still read it, nobody can change it. With `If-Match` only at that version."""
    use_case.archive_channel(services, caller, channel_id, versions(if_match))
    return Response(status_code=204)


@app.put("/v1/channels/{channel_id}/archived")
async def set_archived(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    body: ArchivedIn,
    if_match: IfMatch = None,
) -> Response:
    """Archives a channel, or ends that: an unarchived channel can be changed again, a public one is listed again."""
    if_versions = versions(if_match)
    channel = use_case.set_archived(services, caller, channel_id, if_versions, archived=body.archived)
    return channel_response(channel)
