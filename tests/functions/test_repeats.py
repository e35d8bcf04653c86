"""Every PUT and DELETE may be repeated, after a lost response and at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.template import load as template
from shared.domain.model import Membership, PastMembership, Role
from shared.storage.memory import MemoryStore
from tests.cases import case

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat

CHANNEL: Final = "/v1/channels/{channel_id}"
MESSAGE: Final = f"{CHANNEL}/messages/{{channel_id}}-00000001"
TEMPLATE: Final = Path(__file__).resolve().parents[2] / "template.yaml"
REQUESTS: Final[dict[str, tuple[str, str, str, Any, int, int]]] = {
    "join": ("PUT", f"{CHANNEL}/members/me", "linus", None, 201, 200),
    "add": ("PUT", f"{CHANNEL}/members/linus", "ada", None, 201, 200),
    "add with a role": ("PUT", f"{CHANNEL}/members/linus", "ada", {"role": "moderator"}, 201, 200),
    "give a role": ("PUT", f"{CHANNEL}/members/grace", "ada", {"role": "moderator"}, 200, 200),
    "step down": ("PUT", f"{CHANNEL}/members/me", "bob", {"role": "member"}, 200, 200),
    "leave": ("DELETE", f"{CHANNEL}/members/me", "grace", None, 204, 204),
    "remove": ("DELETE", f"{CHANNEL}/members/grace", "ada", None, 204, 204),
    "remove as a moderator": ("DELETE", f"{CHANNEL}/members/grace", "mona", None, 204, 204),
    "mark as read": ("PUT", f"{CHANNEL}/read", "grace", {"last_read_seq": 1}, 200, 200),
    "mark as unread": ("PUT", f"{CHANNEL}/read", "grace", {"last_read_seq": 0, "force": True}, 200, 200),
    "mark a thread as read": ("PUT", f"{MESSAGE}/thread/read", "grace", {"last_read_seq": 0}, 200, 200),
    "follow a thread": ("PUT", f"{MESSAGE}/thread/follow", "grace", None, 204, 204),
    "unfollow a thread": ("DELETE", f"{MESSAGE}/thread/follow", "grace", None, 204, 204),
    "react": ("PUT", f"{MESSAGE}/reactions/:x:/me", "grace", None, 200, 200),
    "take a reaction back": ("DELETE", f"{MESSAGE}/reactions/:x:/me", "grace", None, 204, 204),
    "pin": ("PUT", f"{MESSAGE}/pin", "mona", None, 204, 204),
    "unpin": ("DELETE", f"{MESSAGE}/pin", "mona", None, 204, 204),
    "delete a message": ("DELETE", MESSAGE, "mona", None, 204, 204),
    "archive": ("DELETE", CHANNEL, "ada", None, 204, 204),
}
"""Method, path, caller, body, the first status and every later one."""
IN_BOTH: Final = [
    (kind, what) for kind in ("public", "private") for what in REQUESTS if (kind, what) != ("private", "join")
]
OF_MESSAGES: Final = {"react", "take a reaction back", "pin", "unpin", "delete a message"}
"""An archived channel refuses these even if they are done already."""


def channel_of(chat: Chat, kind: str) -> str:
    """A channel of the owners ada and bob, with mona as a moderator, grace as a member, and a message."""
    channel = chat.channel("grace", "bob", "mona", kind=kind)
    for user, role in (("bob", "owner"), ("mona", "moderator")):
        assert chat.put_member(channel, user, role=role).status == 200
    chat.post(channel)
    return channel


def send(chat: Chat, channel: str, what: str) -> Response:
    """The response to a request of the table."""
    method, path, user, body, *_ = REQUESTS[what]
    return chat.api(method, path.format(channel_id=channel), user=user, body=body)


def seen_by(chat: Chat, channel: str) -> Any:
    """What there is after it."""
    listed = chat.api("GET", f"/v1/channels/{channel}/members").json
    about = chat.page(channel), chat.api("GET", f"/v1/channels/{channel}/changes").json
    return chat.seen(channel), listed, about, chat.api.services.store.membership(channel, "grace")


def test_a_repeated_request_succeeds_and_changes_nothing(chat: Chat) -> None:
    """Every repetition gets the first response, except that a member who is not new any more gets 200."""
    for kind, what in IN_BOTH:
        with case(kind, what):
            first, later = REQUESTS[what][-2:]
            channel = channel_of(chat, kind)
            response = send(chat, channel, what)
            assert response.status == first, response.body
            after = seen_by(chat, channel)
            for _ in range(2):
                chat.clock.ms += 1_000
                again = send(chat, channel, what)
                assert (again.status, again.body) == (later, response.body)
                assert seen_by(chat, channel) == after


def test_a_repeat_succeeds_though_the_channel_was_archived_in_between(chat: Chat) -> None:
    """A change that is already made needs no write, so the archived channel does not refuse it."""
    for kind, what in IN_BOTH:
        if what in OF_MESSAGES:
            continue
        with case(kind, what):
            channel = channel_of(chat, kind)
            response = send(chat, channel, what)
            assert chat.archive(channel).status == 204
            again = send(chat, channel, what)
            assert (again.status, again.body) == (REQUESTS[what][-1], response.body)


def test_every_put_and_delete_is_repeated() -> None:
    """A route that is new to the template fails here until it is said what it repeats to."""
    message = "{channel_id}-00000001"
    routes = {
        (
            each.method,
            each.path.replace("{user_id}", "me").replace("{message_id}", message).replace("{emoji}", ":x:"),
        )
        for each in template.load(TEMPLATE).routes
        if each.method in {"PUT", "DELETE"}
    }
    assert routes <= {(method, path) for method, path, *_ in REQUESTS.values()}


def test_removing_a_user_who_never_was_a_member_is_refused(chat: Chat) -> None:
    """Removing a user who never was a member is 404; leaving a channel without having been a member is 403."""
    channel = channel_of(chat, "public")
    assert chat.remove(channel, "nobody").code == "member_not_found"
    assert chat.remove(channel, "me", "nobody").code == "not_a_member"
    chat.remove(channel, "me", "grace")
    assert chat.remove(channel, "grace", "nobody").code == "not_a_member"


def test_a_plain_member_does_not_learn_who_was_there(chat: Chat) -> None:
    """403 for a past member as for any other user."""
    channel = channel_of(chat, "private")
    chat.put_member(channel, "linus")
    chat.remove(channel, "mona")
    for whom in ("mona", "nobody", "bob"):
        assert chat.remove(channel, whom, "grace").code == "forbidden"


# --- at the same moment ---


@dataclass
class Overtaken(MemoryStore):
    """Before the first write of a membership, something else is done."""

    first: list[Callable[[], object]] = field(default_factory=list)

    def _overtake(self) -> None:
        if self.first:
            self.first.pop()()

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """Later than something else."""
        self._overtake()
        return super().add_member(membership, by)

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """Later than something else."""
        self._overtake()
        return super().change_role(membership, role, by)

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """Later than something else."""
        self._overtake()
        return super().remove_member(membership, by, even_last_owner=even_last_owner)

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """Later than something else."""
        self._overtake()
        return super().move_read_position(channel_id, user_id, seq, messages, force=force, voids=voids)


def overtaken(chat: Chat, first: Callable[[], object]) -> None:
    """The API's storage from now on does ``first`` before the first write of a membership."""
    store = Overtaken(**vars(chat.api.services.store), first=[first])
    chat.api.services = replace(chat.api.services, store=store)


@pytest.mark.parametrize(("kind", "what"), IN_BOTH)
def test_of_two_at_the_same_moment_both_succeed(chat: Chat, kind: str, what: str) -> None:
    """Both read before either writes, in one millisecond: one makes the member (201), the other finds it (200)."""
    first, later = REQUESTS[what][-2:]
    channel = channel_of(chat, kind)
    earlier: list[Response] = []
    overtaken(chat, lambda: earlier.append(send(chat, channel, what)))
    second = send(chat, channel, what)
    if earlier:  # Archiving writes no membership.
        assert (earlier[0].status, second.status) == (first, later)
        assert earlier[0].body == second.body


@dataclass
class SentTwice(MemoryStore):
    """Its client sends each change of a membership twice, as when the first response was lost."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """Twice."""
        super().add_member(membership, by)
        return super().add_member(membership, by)

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """Twice."""
        super().change_role(membership, role, by)
        return super().change_role(membership, role, by)

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """Twice."""
        super().remove_member(membership, by, even_last_owner=even_last_owner)
        return super().remove_member(membership, by, even_last_owner=even_last_owner)


def test_a_write_that_meets_itself_is_a_success(chat: Chat) -> None:
    """No request fails because the storage's client repeats a write."""
    for kind, what in IN_BOTH:
        with case(kind, what):
            channel = channel_of(chat, kind)
            chat.api.services = replace(chat.api.services, store=SentTwice(**vars(chat.api.services.store)))
            assert send(chat, channel, what).status in REQUESTS[what][-2:]


OUT: Final = [("public", 403, "not_a_member"), ("private", 404, "channel_not_found")]


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
def test_a_caller_removed_while_marking_as_read_is_refused(
    chat: Chat, kind: str, status: int, code: str
) -> None:
    """The response is that of a non-member: 404 where the channel is hidden."""
    channel = channel_of(chat, kind)
    overtaken(chat, lambda: chat.remove(channel, "grace"))
    # The removal itself goes through the storage that does nothing before any more.
    response = send(chat, channel, "mark as read")
    assert (response.status, response.code) == (status, code)
