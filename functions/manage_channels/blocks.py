"""Blocking users."""

from __future__ import annotations

from fastapi import Response

from functions.manage_channels.app import app
from functions.manage_channels.members import target_of
from shared.use_cases import block_users as use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.responses import IfNoneMatch, known_versions, tagged_response
from shared.web.schemas import MemberId


@app.get("/v1/blocks")
async def list_blocks(services: ServicesDep, caller: Caller, if_none_match: IfNoneMatch = None) -> Response:
    """All users whom the caller blocks, by user id."""
    return tagged_response(use_case.list_blocks(services, caller), known=known_versions(if_none_match))


@app.put("/v1/blocks/{user_id}")
async def block_user(services: ServicesDep, caller: Caller, user_id: MemberId) -> Response:
    """Blocks a user: neither of the two can write in their direct channel from then on."""
    use_case.block_user(services, caller, target_of(user_id, caller))
    return Response(status_code=204)


@app.delete("/v1/blocks/{user_id}")
async def unblock_user(services: ServicesDep, caller: Caller, user_id: MemberId) -> Response:
    """Unblocks a user; if that user has blocked the caller too, that block stays."""
    use_case.unblock_user(services, caller, user_id)
    return Response(status_code=204)
