"""Rights that ended between the look and the write that has them as a condition."""

from __future__ import annotations

from shared.domain import permissions
from shared.domain.errors import ContentionError
from shared.domain.model import Membership
from shared.storage.protocol import Store


def refuse_if_lost(store: Store, by: Membership | None, capability: str) -> None:
    """After a refused write: refuses an acting member whose right has ended as if they asked only now. 2 read units.

    Returns where the right still stands: then it was something else. So it does where ``by`` is None.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: they may not any more.
        ContentionError: their role is another, and may suffice: to be decided anew.
    """
    if by is None:
        return
    _, membership = permissions.require_capability(
        store.read_channel_state(by.channel_id, by.user_id), capability
    )
    if membership.role is not by.role:
        raise ContentionError("Your role changed meanwhile; try again.", retry_after=1)
