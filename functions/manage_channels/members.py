"""Joining, adding, leaving and removing, and what members have read; the user id `me` is the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.manage_channels.app import app
from shared.domain import keys
from shared.use_cases import fetch_reads as reads_use_case
from shared.use_cases import manage_members as use_case
from shared.web.app import ServicesDep
from shared.web.channel_schemas import MemberIn
from shared.web.identity import Caller
from shared.web.queries import ListMembersQuery
from shared.web.responses import json_response
from shared.web.schemas import ChannelId, MemberId


@app.get("/v1/channels/{channel_id}/members")
async def list_members(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, query: Annotated[ListMembersQuery, Query()]
) -> Response:
    """The channel's members by user id; changes of the last second may be missing."""
    return json_response(use_case.list_members(services, caller, channel_id, query.limit, query.cursor))


@app.put("/v1/channels/{channel_id}/members/{user_id}")
async def put_member(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    user_id: MemberId,
    body: MemberIn | None = None,
) -> Response:
    """Joins a public channel (`me`), adds a member (201), or changes a role; 200 for an existing member."""
    role = body.wanted() if body else None
    joined = use_case.put_member(services, caller, channel_id, target_of(user_id, caller), role)
    return json_response(joined.member, 201 if joined.new else 200)


@app.delete("/v1/channels/{channel_id}/members/{user_id}")
async def remove_member(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, user_id: MemberId
) -> Response:
    """Leaves the channel (`me`) or removes a member; repeating the request returns 204 again."""
    use_case.remove_member(services, caller, channel_id, target_of(user_id, caller))
    return Response(status_code=204)


@app.get("/v1/channels/{channel_id}/reads")
async def fetch_reads(services: ServicesDep, caller: Caller, channel_id: ChannelId) -> Response:
    """How far each member has read, by user id; in channels of up to 100 members that show it."""
    return json_response(reads_use_case.fetch_reads(services, caller, channel_id))


def target_of(user_id: str, caller: str) -> str:
    """The user whom a path names."""
    return caller if user_id == keys.ME else user_id
