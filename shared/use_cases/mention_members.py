"""Mentions: which of the users that a text names are members, and marking the message in their memberships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import ForbiddenError, TooManyMentionsError, UnavailableError
from shared.domain.mentions import MAX_MENTIONS, NOBODY, Mentions, mentions_in
from shared.domain.model import FIXED_MEMBERS, MAX_KEPT_MENTIONS, Head, Membership, Role, mention_mark


@dataclass(frozen=True, slots=True)
class Named:
    """Whom texts name, of those who are members.

    Attributes:
        mentions: of each text.
        members: who is to be told, by user id, as they were read; never the author.
        log_id: where the texts are.
    """

    mentions: Sequence[Mentions]
    members: Mapping[str, Membership] = field(default_factory=dict)
    log_id: str = ""

    @property
    def everybody(self) -> bool:
        """Whether a text names everybody in the channel."""
        return any(each.everybody for each in self.mentions)

    def marks(self, seqs: Sequence[int], at: int) -> dict[str, frozenset[int]]:
        """The marks that each member gets, for messages at these positions, one for each text."""
        found: dict[str, set[int]] = {}
        for mentions, seq in zip(self.mentions, seqs, strict=True):
            for user in mentions.users:
                if user in self.members:
                    found.setdefault(user, set()).add(mention_mark(at, seq))
        return {user: frozenset(marks) for user, marks in found.items()}


def find_named(
    services: Services, head: Head, author: Membership, texts: Sequence[str], *, had_everybody: bool = False
) -> Named:
    """Whom these texts name. Costs nothing for texts that name nobody, else a read unit for each user, in a thread 2.

    In a thread nobody can name everybody: that is text like any other.

    Args:
        services: the parts.
        head: the channel's.
        author: who writes the texts.
        texts: of messages in the channel.
        had_everybody: the message named everybody before this edit, which may then stay whoever the author is.

    Raises:
        TooManyMentionsError: more than ``MAX_MENTIONS`` users.
        ForbiddenError: the author may not name everybody here.
    """
    found = [mentions_in(text) for text in texts]
    if keys.is_thread(head.channel_id):
        found = [Mentions(each.users) for each in found]
    if not any(found):
        return Named([NOBODY] * len(texts))
    users = list(dict.fromkeys(user for each in found for user in each.users))
    if len(users) > MAX_MENTIONS:
        raise TooManyMentionsError
    if not had_everybody and any(each.everybody for each in found):
        _require_everybody(services, head, author)
    members = services.store.members_of(head.channel_id, users) if users else {}
    named = [
        Mentions(tuple(user for user in each.users if user in members), each.everybody) for each in found
    ]
    told = {user: each for user, each in members.items() if user != author.user_id}
    return Named(named, told, head.channel_id)


def _require_everybody(services: Services, head: Head, author: Membership) -> None:
    most = services.settings.max_members_for_everybody
    if author.role is Role.MEMBER and head.kind not in FIXED_MEMBERS and head.members > most:
        raise ForbiddenError(
            f"Only owners and moderators may name everybody in a channel of more than {most} members."
        )


def forget_oldest(services: Services, named: Named, marks: Mapping[str, frozenset[int]]) -> None:
    """Keeps the memberships small that were marked: a write unit for each that has too many marks by now.

    What fails here is done with the next mention.
    """
    for user, added in marks.items():
        member = named.members[user]
        surplus = sorted(member.mentions | added)[:-MAX_KEPT_MENTIONS]
        if surplus:
            with suppress(UnavailableError):
                services.store.forget_mentions(named.log_id, user, surplus)
