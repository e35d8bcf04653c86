"""Managing channels and members under races: lost responses, torn reads, rights that are withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StoreUnavailableError
from shared.domain.model import ERASED, Membership, PastMembership, Role
from shared.storage.memory import MemoryStore

if TYPE_CHECKING:
    from shared.domain.model import ChannelState, Head
    from shared.storage.protocol import PairBlocked
    from tests.api import Response
    from tests.functions.chat import Chat


def over(chat: Chat, store: Callable[..., MemoryStore]) -> MemoryStore:
    """The same channels in another storage, which the API uses from now on."""
    other = store(**vars(chat.api.services.store))
    chat.api.services = replace(chat.api.services, store=other)
    return other


# --- lost answers ---


@dataclass
class SentTwice(MemoryStore):
    """Its client repeats each change, as when the first response was lost."""

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """Twice."""
        super().update_channel(channel_id, changes, if_version, by)
        return super().update_channel(channel_id, changes, if_version, by)

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """Twice."""
        super().archive_channel(channel_id, now, by, if_version=if_version)
        return super().archive_channel(channel_id, now, by, if_version=if_version)


def test_a_change_whose_first_answer_was_lost_is_done(chat: Chat) -> None:
    """200 with the version that it made, not 412 for meeting itself."""
    channel = chat.channel()
    over(chat, SentTwice)
    response = chat.api("PATCH", f"/v1/channels/{channel}", body={"name": "new"}, headers={"if-match": '"1"'})
    assert (response.status, response.json["version"]) == (200, 2)
    assert response.json == chat.seen(channel)


def test_an_archiving_whose_first_answer_was_lost_is_done(chat: Chat) -> None:
    """204, and once."""
    channel = chat.channel()
    over(chat, SentTwice)
    assert chat.archive(channel).status == 204
    assert chat.seen(channel)["version"] == 2


@dataclass
class ChangedBetween(MemoryStore):
    """Another user changes the channel between the read and each archiving."""

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """After the other's change."""
        assert super().update_channel(channel_id, {"topic": "theirs"}, None)
        return super().archive_channel(channel_id, now, by, if_version=if_version)


def test_archiving_meets_a_change_that_came_between(chat: Chat) -> None:
    """The version is a condition of the write: 412, and the channel stays open."""
    channel = chat.channel()
    over(chat, ChangedBetween)
    response = chat.api("DELETE", f"/v1/channels/{channel}", headers={"if-match": '"1"'})
    assert (response.status, response.code) == (412, "version_mismatch")
    assert chat.seen(channel)["archived"] is False
    assert chat.api("DELETE", f"/v1/channels/{channel}").status == 204


@dataclass
class CutShort(MemoryStore):
    """The first creation ends after its key was reserved."""

    is_first: bool = True

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | PairBlocked | None:
        """Fails once."""
        was_first, self.is_first = self.is_first, False
        if was_first:
            raise StoreUnavailableError(retry_after=1)
        return super().create_channel(head, memberships)


@pytest.mark.parametrize(
    "body", [{"kind": "public", "name": "lobby"}, {"kind": "direct", "members": ["linus"]}]
)
def test_a_creation_that_was_cut_short_goes_on_under_its_key(chat: Chat, body: dict[str, Any]) -> None:
    """201 for the same request; another one is refused, as the first may have been made."""
    over(chat, CutShort)
    headers = {"idempotency-key": "k"}
    statuses = [
        chat.api("POST", "/v1/channels", body=each, headers=headers).status
        for each in (body, {"kind": "public", "name": "other"}, body)
    ]
    assert statuses == [503, 422, 201]


# --- views in part ---

DIRECT = {"kind": "direct", "members": ["grace"]}
KINDS: list[dict[str, Any]] = [
    {"kind": "public", "name": "lobby"},
    {"kind": "private", "name": "lobby"},
    DIRECT,
]


@dataclass
class SeenInPart(MemoryStore):
    """Each read of the channel state sees the head before its membership."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """Without the membership."""
        return replace(super().read_channel_state(channel_id, user_id, key), membership=None)


@dataclass
class SeenNotAtAll(MemoryStore):
    """Each read of the channel state comes too early for the head as well."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """Without anything."""
        return replace(super().read_channel_state(channel_id, user_id, key), head=None, membership=None)


def create(chat: Chat, body: dict[str, Any], user: str = "ada") -> Response:
    """The response to creating a channel with a key."""
    return chat.api("POST", "/v1/channels", user=user, body=body, headers={"idempotency-key": "k"})


@pytest.mark.parametrize("body", KINDS, ids=lambda body: body["kind"])
@pytest.mark.parametrize("seen", [SeenInPart, SeenNotAtAll])
def test_a_channel_that_is_seen_in_part_is_asked_for_again(
    chat: Chat, body: dict[str, Any], seen: type[MemoryStore]
) -> None:
    """503 with a time to come back, and then it is there: 404 would say that the creation failed."""
    whole = chat.api.services
    first = create(chat, body).json
    over(chat, seen)
    response = create(chat, body)
    assert (response.status, response.code, response.headers["retry-after"]) == (503, "contention", "1")
    assert response.json["retryable"]
    chat.api.services = whole
    assert create(chat, body).json["id"] == first["id"]


def test_a_creator_who_left_does_not_find_the_channel_by_its_key(chat: Chat) -> None:
    """A private one is 404 for them, a public one what strangers see: neither becomes visible by waiting."""
    private, public = (create(chat, {"kind": kind, "name": "x"}, kind) for kind in ("private", "public"))
    for made, user in ((private, "private"), (public, "public")):
        chat.put_member(made.json["id"], "grace", user, role="owner")
        assert chat.remove(made.json["id"], "me", user).status == 204
    hidden = create(chat, {"kind": "private", "name": "x"}, "private")
    assert (hidden.status, hidden.code) == (404, "channel_not_found")
    seen = create(chat, {"kind": "public", "name": "x"}, "public")
    assert (seen.status, seen.json["role"]) == (201, None)


def test_an_erased_creator_is_not_asked_to_wait(chat: Chat) -> None:
    """Their past membership is deleted too; else 503 would never end."""
    channel = create(chat, {"kind": "private", "name": "x"}).json["id"]
    chat.put_member(channel, "grace", role="owner")
    chat.remove(channel, "me")
    store = chat.api.services.store
    [past_membership] = store.past_memberships("ada")
    head = store.count_erasure(channel, "ada")
    assert head is not None
    assert head.creator == ERASED
    store.forget_past_membership("ada", past_membership)
    assert create(chat, {"kind": "private", "name": "x"}).code == "channel_not_found"


# --- rights taken away ---


@dataclass
class LosesTheRight(MemoryStore):
    """Ada removes bob or changes his role between his read and his write."""

    to: Role | None = None

    def _lose(self, by: Membership | None) -> None:
        assert by is not None
        standing = self.membership(by.channel_id, "bob")
        if standing is not None and standing.role is by.role:
            ada = self.membership(by.channel_id, "ada")
            done = (
                super().change_role(standing, self.to, ada)
                if self.to
                else super().remove_member(standing, ada)
            )
            assert done

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """After the loss."""
        self._lose(by)
        return super().add_member(membership, by)

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """After the loss."""
        self._lose(by)
        return super().change_role(membership, role, by)

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """After the loss."""
        self._lose(by)
        return super().remove_member(membership, by, even_last_owner=even_last_owner)

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """After the loss."""
        self._lose(by)
        return super().update_channel(channel_id, changes, if_version, by)

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """After the loss."""
        self._lose(by)
        return super().archive_channel(channel_id, now, by, if_version=if_version)


def losing(chat: Chat, kind: str, role: Role, to: Role | None = None) -> tuple[str, MemoryStore]:
    """A channel of ada's with mary as a member and bob in a role, which he will lose."""
    channel = chat.channel("mary", kind=kind)
    assert chat.put_member(channel, "bob", role=role).status == 201
    store = over(chat, LosesTheRight)
    assert isinstance(store, LosesTheRight)
    store.to = to
    return channel, store


def change(chat: Chat, channel: str, user: str, if_match: str | None) -> Response:
    """The response to renaming the channel."""
    headers = {"if-match": if_match} if if_match else None
    return chat.api("PATCH", f"/v1/channels/{channel}", user=user, body={"name": "new"}, headers=headers)


OUT = [("public", 403, "not_a_member"), ("private", 404, "channel_not_found")]


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
@pytest.mark.parametrize("role", [None, "moderator"])
def test_a_caller_removed_during_the_request_adds_no_member(
    chat: Chat, kind: str, status: int, code: str, role: str | None
) -> None:
    """The response is that of a non-member, and no member was added in any role."""
    channel, store = losing(chat, kind, Role.OWNER)
    response = chat.put_member(channel, "eve", "bob", role)
    assert (response.status, response.code) == (status, code)
    assert store.membership(channel, "eve") is None
    assert chat.seen(channel)["member_count"] == 2


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
def test_a_caller_removed_during_the_request_changes_no_role(
    chat: Chat, kind: str, status: int, code: str
) -> None:
    """The member keeps the role that they had."""
    channel, store = losing(chat, kind, Role.OWNER)
    response = chat.put_member(channel, "mary", "bob", "owner")
    assert (response.status, response.code) == (status, code)
    assert store.membership(channel, "mary") == Membership("mary", channel, Role.MEMBER, chat.clock.ms)


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
def test_a_caller_removed_during_the_request_removes_no_member(
    chat: Chat, kind: str, status: int, code: str
) -> None:
    """The member stays."""
    channel, store = losing(chat, kind, Role.MODERATOR)
    response = chat.remove(channel, "mary", "bob")
    assert (response.status, response.code) == (status, code)
    assert store.membership(channel, "mary") is not None


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
@pytest.mark.parametrize("if_match", [None, '"1"'])
def test_a_caller_removed_during_the_request_changes_no_channel(
    chat: Chat, kind: str, status: int, code: str, if_match: str | None
) -> None:
    """Neither its settings nor its version, with a precondition or without."""
    channel, _ = losing(chat, kind, Role.MODERATOR)
    response = change(chat, channel, "bob", if_match)
    assert (response.status, response.code) == (status, code)
    assert (chat.seen(channel)["name"], chat.seen(channel)["version"]) == ("lobby", 1)


@pytest.mark.parametrize(("kind", "status", "code"), OUT)
def test_a_caller_removed_during_the_request_archives_nothing(
    chat: Chat, kind: str, status: int, code: str
) -> None:
    """A user who is no owner any more does nothing that cannot be undone."""
    channel, _ = losing(chat, kind, Role.OWNER)
    response = chat.archive(channel, "bob")
    assert (response.status, response.code) == (status, code)
    assert not chat.seen(channel)["archived"]


@dataclass
class ArchivedMeanwhile(MemoryStore):
    """An operator archives the channel between the read and the write."""

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """After it."""
        assert super().archive_channel(channel_id, 0)
        return super().update_channel(channel_id, changes, if_version, by)

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """After it."""
        assert super().archive_channel(channel_id, 0)
        return super().archive_channel(channel_id, now, by, if_version=if_version)


def test_a_channel_archived_meanwhile_is_not_changed(chat: Chat) -> None:
    """A change is 409 whatever version it names; archiving again is 204."""
    whole = chat.api.services
    for ask, wanted in (
        (lambda channel: change(chat, channel, "ada", None), (409, "channel_archived")),
        (lambda channel: change(chat, channel, "ada", '"1"'), (409, "channel_archived")),
        (chat.archive, (204, None)),
    ):
        chat.api.services = whole
        channel = chat.channel()
        over(chat, ArchivedMeanwhile)
        response = ask(channel)
        assert (response.status, response.code if response.body else None) == wanted
        assert chat.seen(channel)["version"] == 2


@dataclass
class ReopenedMeanwhile(MemoryStore):
    """Another owner ends the archiving between the read and the write, and archives the channel again or not."""

    archives_again: bool = True

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """After it."""
        assert super().unarchive_channel(head)
        assert not self.archives_again or super().archive_channel(head.channel_id, 1)
        return super().unarchive_channel(head, by)


def test_an_archiving_of_meanwhile_is_not_ended(chat: Chat) -> None:
    """412 with `If-Match`, else 503 to be repeated; where the other only ended the archiving, it is done."""
    whole = chat.api.services
    for again, headers, expected in (
        (True, {"if-match": '"2"'}, (412, "version_mismatch", True)),
        (True, {}, (503, "contention", True)),
        (False, {"if-match": '"2"'}, (200, None, False)),
    ):
        chat.api.services = whole
        channel = chat.channel()
        assert chat.archive(channel).status == 204
        over(chat, partial(ReopenedMeanwhile, archives_again=again))
        path = f"/v1/channels/{channel}/archived"
        response = chat.api("PUT", path, body={"archived": False}, headers=headers)
        code = response.json.get("code")
        assert (response.status, code, chat.seen(channel)["archived"]) == expected


def test_a_demoted_caller_has_lost_the_right(chat: Chat) -> None:
    """403 for all five, as if they asked only now."""
    asked: list[Callable[[str], Response]] = [
        lambda channel: chat.put_member(channel, "eve", "bob"),
        lambda channel: chat.put_member(channel, "mary", "bob", "moderator"),
        lambda channel: chat.remove(channel, "mary", "bob"),
        lambda channel: change(chat, channel, "bob", None),
        lambda channel: chat.archive(channel, "bob"),
    ]
    whole = chat.api.services
    for ask in asked:
        chat.api.services = whole
        channel, store = losing(chat, "public", Role.OWNER, Role.MEMBER)
        response = ask(channel)
        assert (response.status, response.code) == (403, "forbidden")
        assert [each.user_id for each in store.members(channel, 9, None)] == ["ada", "bob", "mary"]


def test_whose_other_role_may_suffice_asks_again(chat: Chat) -> None:
    """An owner who was made a moderator gets 503 with a `Retry-After`, and then the response to a moderator."""
    whole = chat.api.services
    channel, store = losing(chat, "public", Role.OWNER, Role.MODERATOR)
    refused = chat.put_member(channel, "eve", "bob")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "contention", "1")
    assert store.membership(channel, "eve") is None
    chat.api.services = whole
    assert chat.put_member(channel, "eve", "bob").status == 201
    channel, _ = losing(chat, "public", Role.OWNER, Role.MODERATOR)
    refused = change(chat, channel, "bob", None)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "contention", "1")
    chat.api.services = whole
    assert change(chat, channel, "bob", None).status == 200
