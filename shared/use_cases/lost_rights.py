"""Rights that ended between the read of the channel state and the write that depends on them."""

from __future__ import annotations

from shared.domain import permissions
from shared.domain.errors import ContentionError
from shared.domain.model import Membership
from shared.storage.protocol import Store


def refuse_if_lost(store: Store, by: Membership | None, capability: str) -> None:
    """Called after a failed write: raises what a new request would get if the acting member's right has ended.

    Returns if the right is unchanged, because the write then failed for another reason, and if ``by`` is None. Costs
    2 read units.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the right has ended.
        ContentionError: the role has changed and may still be sufficient; a retry decides.
    """
    if by is None:
        return
    _, membership = permissions.require_capability(
        store.read_channel_state(by.channel_id, by.user_id), capability
    )
    if membership.role is not by.role:
        raise ContentionError("Your role has just changed. Try again.", retry_after=1)
