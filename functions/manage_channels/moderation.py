"""Bans from channels, and reports of messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.manage_channels.app import app
from functions.manage_channels.members import target_of
from shared.use_cases import moderate_channels as use_case
from shared.web.app import ServicesDep
from shared.web.channel_schemas import BanIn, ReportChange, ReportIn
from shared.web.identity import Caller
from shared.web.queries import ListBansQuery, ListReportsQuery
from shared.web.responses import json_response
from shared.web.schemas import ChannelId, MemberId, PostId, ReportId


@app.get("/v1/channels/{channel_id}/bans")
async def list_bans(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, query: Annotated[ListBansQuery, Query()]
) -> Response:
    """The bans from a channel by user id, for moderators and owners."""
    return json_response(use_case.list_bans(services, caller, channel_id, query.limit, query.cursor))


@app.put("/v1/channels/{channel_id}/bans/{user_id}")
async def ban_user(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    user_id: MemberId,
    body: BanIn | None = None,
) -> Response:
    """Bans a user, who is removed and cannot join again; 200 with the earlier ban if there is one."""
    reason, target = body.reason if body else "", target_of(user_id, caller)
    made = use_case.ban_user(services, caller, channel_id, target, reason)
    return json_response(made.shown, 201 if made.new else 200)


@app.delete("/v1/channels/{channel_id}/bans/{user_id}")
async def unban_user(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, user_id: MemberId
) -> Response:
    """Lifts a ban: the user may join again."""
    use_case.unban_user(services, caller, channel_id, target_of(user_id, caller))
    return Response(status_code=204)


@app.post("/v1/channels/{channel_id}/messages/{message_id}/reports")
async def report_message(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId, body: ReportIn
) -> Response:
    """Reports a message to moderators and owners; 200 with the caller's earlier report if there is one."""
    made = use_case.report_message(services, caller, channel_id, message_id, body.reason, body.text)
    return json_response(made.shown, 201 if made.new else 200)


@app.get("/v1/channels/{channel_id}/reports")
async def list_reports(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, query: Annotated[ListReportsQuery, Query()]
) -> Response:
    """Reported messages, oldest report first, for moderators and owners."""
    return json_response(
        use_case.list_reports(services, caller, channel_id, query.status, query.limit, query.cursor)
    )


@app.put("/v1/channels/{channel_id}/reports/{report_id}")
async def close_report(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, report_id: ReportId, body: ReportChange
) -> Response:
    """Closes a report, for moderators and owners."""
    return json_response(use_case.close_report(services, caller, channel_id, report_id, body.resolution))
