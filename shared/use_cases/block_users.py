"""Blocking users: neither of the two can write in their direct channel, until the block is lifted."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.domain.errors import TooManyBlocksError, ValidationFailedError
from shared.domain.moderation import MAX_BLOCKS, Block, block_json


def block_user(services: Services, user_id: str, other_id: str) -> None:
    """Blocks a user. Again it changes nothing.

    Once it returns, no message, edit or reaction of the other one is accepted in the pair's direct channel. Costs a
    read unit for each 50 blocks, 3 read and 8 write units. Concurrent blocks may exceed the limit by a few.

    Raises:
        ValidationFailedError: users cannot block themselves.
        TooManyBlocksError: the caller has ``MAX_BLOCKS`` blocks.
        ContentionError: the direct channel came or went during every try.
    """
    if other_id == user_id:
        detail = "You cannot block yourself."
        raise ValidationFailedError(detail, errors=[{"field": "path.user_id", "detail": detail}])
    known = services.store.blocks(user_id)
    if len(known) >= MAX_BLOCKS and all(each.other_id != other_id for each in known):
        raise TooManyBlocksError
    services.store.block(Block(user_id, other_id, services.now()))


def unblock_user(services: Services, user_id: str, other_id: str) -> None:
    """Lifts the caller's block of a user; a block of the caller by that user stays. Again it changes nothing."""
    services.store.unblock(user_id, other_id)


def list_blocks(services: Services, user_id: str) -> dict[str, Any]:
    """All users whom the caller blocks, by user id: a read unit for each 50."""
    return {"blocks": [block_json(each) for each in services.store.blocks(user_id)]}
