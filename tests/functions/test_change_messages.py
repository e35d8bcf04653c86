"""Editing and deleting messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.changes import Change
from shared.domain.errors import StoreUnavailableError
from shared.domain.model import ERASED
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, ChangeOutcome, Contended, StateChanged
from shared.use_cases.change_messages import MAX_TRIES
from tests.functions.changing import THUMB, Room, code, open_room
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace is a member, and mo and max are moderators."""
    return open_room(chat, "grace", moderators=("mo", "max"))


class Interrupted(MemoryStore):
    """Something happens just before a change is committed; the list holds what happens, once each."""

    before: list[Callable[[ChangeCommit], object]]
    """Each may return the outcome of the commit, in place of the storage's own."""

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        while getattr(self, "before", []):
            outcome = self.before.pop(0)(commit)
            if isinstance(outcome, ChangeOutcome):
                return outcome
        return super().commit_change(commit)

    unseen: list[int]
    """A change for each of the next reads, which does not see it."""

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """See ``Changes``."""
        unseen = self.unseen.pop(0) if getattr(self, "unseen", []) else 0
        return [each for each in super().changes_at(channel_id, revs) if each.rev != unseen]


@pytest.fixture
def store() -> Interrupted:
    """The storage of these tests."""
    return Interrupted()


# --- edits ---


def test_an_edit_changes_the_text_and_nothing_else(room: Room) -> None:
    """Id, position, sender and time stay; who edited it, when, and a version number are added."""
    seq = room.post("Helo", client_message_id="mine", metadata={"a": 1})
    before = room.message(seq)
    room.chat.clock.ms += 5_000
    edited = room.edit(seq, "Hello")
    assert edited.status == 200
    assert edited.json == room.message(seq, "grace") == room.chat.page(room.id)["messages"][0]
    assert edited.json == before | {
        "text": "Hello",
        "edited_at": edited.json["edited_at"],
        "edited_by": "ada",
        "version": 2,
        "rev": 1,
    }
    assert edited.json["edited_at"] > before["created_at"]
    assert edited.headers["etag"] == 'W/"2"'


def test_metadata_is_replaced_or_removed_by_itself(room: Room) -> None:
    """What is not sent stays; `null` removes metadata."""
    seq = room.post("Hello", metadata={"a": 1})
    assert room.edit(seq, fields={"metadata": {"b": 2}}).json["metadata"] == {"b": 2}
    assert room.edit(seq, "Bye").json["metadata"] == {"b": 2}
    removed = room.edit(seq, fields={"metadata": None}).json
    assert "metadata" not in removed
    assert (removed["text"], removed["version"]) == ("Bye", 4)


def test_an_edit_keeps_the_reactions(room: Room) -> None:
    """They stay with the message."""
    seq = room.post()
    room.react(seq, user="grace")
    assert room.edit(seq, "other").json["reactions"] == [{"emoji": THUMB, "count": 1, "users": ["grace"]}]


def test_an_edit_to_what_is_there_changes_nothing(room: Room) -> None:
    """200 with the message as it is, and no change in the log."""
    seq = room.post("Hello", metadata={"a": 1})
    before = room.message(seq)
    for fields in ({"text": "Hello"}, {"metadata": {"a": 1}}, {"text": "Hello", "metadata": {"a": 1}}):
        assert room.edit(seq, fields=fields).json == before
    assert room.changes() == []


def test_true_is_not_one(room: Room) -> None:
    """Metadata that differs in JSON only by type is another value, although Python calls both equal."""
    seq = room.post(metadata={"a": 1})
    assert room.edit(seq, fields={"metadata": {"a": True}}).json["metadata"] == {"a": True}
    assert room.edit(seq, fields={"metadata": {"a": 1.5}}).json["version"] == 3


@pytest.mark.parametrize("user", ["grace", "mo", "max"])
def test_only_the_author_edits(room: Room, user: str) -> None:
    """Not even moderators and owners put words into the mouths of others."""
    seq = room.post()
    assert code(room.edit(seq, "no", user)) == (403, "forbidden")
    other = room.post(user="grace")
    assert code(room.edit(other, "no", "ada")) == (403, "forbidden")
    assert room.changes() == []


def test_who_is_not_in_the_channel_changes_nothing(chat: Chat) -> None:
    """403 in a public channel, 404 in any other, also for the author once they have left."""
    for kind, refused in (("public", (403, "not_a_member")), ("private", (404, "channel_not_found"))):
        room = open_room(chat, "grace", kind=kind)
        seq = room.post(user="grace")
        chat.remove(room.id, "me", "grace")
        for user in ("grace", "eve"):
            for response in (
                room.edit(seq, "no", user),
                room.delete(seq, user),
                room.react(seq, user=user),
                room.unreact(seq, user=user),
                room.pin(seq, user),
                room.unpin(seq, user),
            ):
                assert code(response) == refused


@pytest.mark.parametrize("message_id", ["nonsense", "{c}-0000000a", "{c}-00000002", "{c}-00000000"])
def test_a_message_that_does_not_exist_is_404(room: Room, message_id: str) -> None:
    """For every change, whether the id is malformed or of a position that has no message."""
    room.post()
    path = f"/v1/channels/{room.id}/messages/{message_id.replace('{c}', room.id)}"
    api = room.chat.api
    for response in (
        api("PATCH", path, body={"text": "x"}),
        api("DELETE", path),
        api("PUT", f"{path}/pin"),
        api("DELETE", f"{path}/pin"),
        api("PUT", f"{path}/reactions/:x:/me"),
        api("DELETE", f"{path}/reactions/:x:/me"),
        api("GET", f"{path}/versions"),
        api("GET", f"{path}/reactions", query={"emoji": ":x:"}),
    ):
        assert_refused(response, 404, "message_not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": None}, {"text": "x" * 4_001}, {"text": 7}, {"sender": "eve"}, {"metadata": []},
     {"metadata": {"a": "x" * 1_024}}, {"text": "x", "client_message_id": "y"}, {"text": "\u200b"}, None, []],
)  # fmt: skip
def test_a_bad_edit_is_refused(room: Room, body: Any) -> None:
    """A problem that names the field; nothing is changed."""
    seq = room.post()
    response = room.chat.api("PATCH", room.path(seq), body=body)
    assert response.status in {400, 422}
    assert room.changes() == []


def test_if_match_names_the_versions_of_the_message(room: Room) -> None:
    """One of them must be current; a message that was never edited has version 1. Reactions make no version."""
    seq = room.post()
    assert code(room.edit(seq, "b", version=2)) == (412, "version_mismatch")
    room.react(seq, user="grace")
    assert room.edit(seq, "b", version=1).json["version"] == 2
    assert code(room.edit(seq, "c", version=1)) == (412, "version_mismatch")
    assert room.edit(seq, "c", **{"if-match": '"7", "2"'}).json["version"] == 3
    assert room.edit(seq, "d", **{"if-match": "*"}).json["version"] == 4
    assert code(room.edit(seq, "e", **{"if-match": 'W/"4"'})) == (412, "version_mismatch")
    assert room.edit(seq, "e", **{"if-match": "4"}).status == 422


def test_an_edit_window_ends(room: Room) -> None:
    """After so many seconds an author cannot edit; moderators and authors can still delete."""
    room.set(edit_window=60)
    seq = room.post("a", "grace")
    posted = room.chat.clock.ms
    room.chat.clock.ms = posted + 60_000
    assert room.edit(seq, "b", "grace").status == 200
    room.chat.clock.ms = posted + 60_001
    assert code(room.edit(seq, "c", "grace")) == (403, "edit_window_over")
    assert room.edit(seq, "b", "grace").status == 200, "nothing is to change"
    room.set(edit_window=None)
    assert room.edit(seq, "c", "grace").status == 200
    room.set(edit_window=60)
    assert room.delete(seq, "grace").status == 204


def test_an_edit_window_of_zero_forbids_edits(room: Room) -> None:
    """0 is never; the channel shows the setting."""
    room.set(edit_window=0)
    seq = room.post()
    room.chat.clock.ms += 1
    assert code(room.edit(seq, "b")) == (403, "edit_window_over")
    assert room.chat.seen(room.id)["edit_window"] == 0


@pytest.mark.parametrize("value", [-1, 365 * 24 * 3600 + 1, "60", True, 1.5])
def test_a_bad_edit_window_is_refused(room: Room, value: Any) -> None:
    """From 0 to a year, in whole seconds."""
    response = room.chat.api("PATCH", f"/v1/channels/{room.id}", body={"edit_window": value})
    assert_refused(response, 422, "validation_failed")


def test_an_edit_repeated_with_its_key_is_made_once(room: Room) -> None:
    """The second response is the first one's, marked as a replay, also if the message was changed in between."""
    seq = room.post("a")
    first = room.edit(seq, "b", key="k1")
    room.react(seq, user="grace")
    room.edit(seq, "c", key="k2")
    again = room.edit(seq, "b", key="k1")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert room.message(seq)["text"] == "c"
    assert [each["kind"] for each in room.changes()] == ["edited", "reaction_added", "edited"]


def test_an_edit_with_if_match_can_be_repeated(room: Room) -> None:
    """The replay comes before the version is compared: the first request has changed it."""
    seq = room.post("a")
    first = room.edit(seq, "b", key="k", version=1)
    assert room.edit(seq, "b", key="k", version=1).body == first.body


def test_a_replayed_edit_shows_no_deleted_text(room: Room) -> None:
    """Once the message is deleted, the response to the repeated edit is what is left of it."""
    seq = room.post("a")
    room.edit(seq, "secret", key="k")
    room.delete(seq, "mo")
    again = room.edit(seq, "secret", key="k")
    assert (again.status, again.json["deleted"]) == (200, True)
    assert "secret" not in again.body


def test_a_key_belongs_to_one_request(room: Room) -> None:
    """Another text, another message, or a post under the same key: 422; it is the user's own, and ends after a day."""
    one, other = room.post("a"), room.post("b")
    room.edit(one, "c", key="k")
    assert code(room.edit(one, "d", key="k")) == (422, "idempotency_key_reused")
    assert code(room.edit(other, "c", key="k")) == (422, "idempotency_key_reused")
    posted = room.chat.api(
        "POST", f"/v1/channels/{room.id}/messages", body={"text": "c"}, headers={"idempotency-key": "k"}
    )
    assert code(posted) == (422, "idempotency_key_reused")
    room.chat.clock.ms += 3 * 24 * 3_600_000
    assert room.edit(one, "d", key="k").status == 200


def test_the_head_shows_an_edit_of_the_latest_message(room: Room) -> None:
    """The list's preview follows; an edit of an earlier message does not touch it."""
    first, last = room.post("first"), room.post("last", "grace")
    room.edit(last, "latest", "grace")
    room.edit(first, "other")
    shown = room.chat.seen(room.id)["last_message"]
    assert (shown["text"], shown["seq"], shown["sender"]) == ("latest", last, "grace")
    room.edit(last, "é" * 4_000, "grace")
    assert len(room.chat.seen(room.id)["last_message"]["text"].encode()) <= 140
    assert room.counts("mo") == (2, 0)


# --- deletions ---


def test_a_deletion_leaves_a_tombstone(room: Room) -> None:
    """Id, position, sender and times stay; text, metadata, client id, reactions and mentions are gone."""
    seq = room.post(
        "secret <@grace> <!channel>", client_message_id="secret-id", metadata={"secret": "secret"}
    )
    room.react(seq, ":secret:", "grace")
    room.edit(seq, "secret too <@mo>")
    before = room.message(seq)
    response = room.delete(seq)
    assert (response.status, response.body) == (204, "")
    found = room.message(seq, "grace")
    assert found == {
        "id": before["id"],
        "seq": seq,
        "sender": "ada",
        "text": "",
        "created_at": before["created_at"],
        "deleted": True,
        "deleted_at": found["deleted_at"],
        "deleted_by": "ada",
        "rev": 3,
    }
    page = room.chat.api("GET", f"/v1/channels/{room.id}/messages", user="grace")
    assert page.json["messages"] == [found]
    assert "secret" not in page.body


@pytest.mark.parametrize(("user", "status"), [("grace", 204), ("mo", 204), ("ada", 204), ("eve", 403)])
def test_authors_moderators_and_owners_delete(room: Room, user: str, status: int) -> None:
    """The tombstone says who it was; other members may not."""
    room.chat.put_member(room.id, "eve")
    seq = room.post(user="grace")
    assert room.delete(seq, user).status == status
    assert room.message(seq).get("deleted_by") == (user if status == 204 else None)


def test_deleting_again_changes_nothing(room: Room) -> None:
    """204 each time, from whoever may; the first deletion stays."""
    seq = room.post()
    room.delete(seq, "mo")
    before = room.message(seq), room.changes(), room.chat.seen(room.id)
    for user in ("ada", "mo", "max"):
        assert room.delete(seq, user).status == 204
    assert code(room.delete(seq, "grace")) == (403, "forbidden")
    assert (room.message(seq), room.changes(), room.chat.seen(room.id)) == before


def test_deleting_a_redacted_message_changes_nothing(room: Room, store: Interrupted) -> None:
    """204, as of one that was deleted: its author was erased, and it has no text."""
    seq = room.post(user="grace")
    body = json.dumps(room.message(seq) | {"sender": ERASED, "text": "", "redacted": True})
    store.redact(room.id, seq, body.encode())
    assert room.delete(seq, "mo").status == 204
    assert code(room.delete(seq, "grace")) == (403, "forbidden")
    assert room.changes() == []


def test_a_deleted_message_cannot_be_changed(room: Room) -> None:
    """Neither edited, nor reacted to, nor pinned (element-web#26388: a reaction to a redacted message stays)."""
    seq = room.post()
    room.react(seq, user="grace")
    room.delete(seq)
    for response in (room.edit(seq, "x"), room.react(seq), room.react(seq, user="grace"), room.pin(seq)):
        assert_refused(response, 409, "message_deleted")
    assert room.unreact(seq, user="grace").status == 204
    assert room.unpin(seq).status == 204
    assert [each["kind"] for each in room.changes()] == ["reaction_added", "deleted"]
    assert room.reactions(seq)["count"] == 0


def test_the_preview_of_a_deleted_message_is_empty(room: Room) -> None:
    """The latest message keeps its place in lists, marked as deleted, until another one is posted."""
    room.post("first")
    last = room.post("secret")
    room.delete(last)
    for shown in (
        room.chat.seen(room.id, "grace")["last_message"],
        room.chat.listing("grace")["channels"][0]["last_message"],
    ):
        assert (shown["seq"], shown["text"], shown["deleted"]) == (last, "", True)
    room.post("next")
    assert "deleted" not in room.chat.seen(room.id)["last_message"]


def test_unread_falls_with_a_deletion(room: Room) -> None:
    """Of what is unread, and only then: element-ios#7876, NodeBB#7103, social-app#6023 (a badge stays)."""
    for number in range(5):
        room.post(str(number))
    room.chat.api("PUT", f"/v1/channels/{room.id}/read", user="grace", body={"last_read_seq": 2})
    assert room.counts("grace") == (3, 0)
    room.delete(1)
    assert room.counts("grace") == (3, 0)
    for number in (5, 3, 4):
        room.delete(number)
    assert room.counts("grace") == (0, 0)
    assert room.chat.listing("grace", unread_only="true")["channels"] == []
    room.post()
    assert room.counts("grace") == (1, 0)


@pytest.mark.parametrize("order", [range(1, 21), range(20, 0, -1), [*range(1, 21, 2), *range(20, 0, -2)]])
def test_unread_is_exact_after_many_deletions(room: Room, order: Any) -> None:
    """Also if more were deleted than the head keeps positions of, in whatever order, wherever one has read to."""
    for number in range(24):
        room.post(str(number))
    for seq in order:
        room.delete(seq)
    for read in (24, 20, 21, 11, 0, 5, 23):
        body = {"last_read_seq": read, "force": True}
        marked = room.chat.api("PUT", f"/v1/channels/{room.id}/read", user="grace", body=body)
        assert marked.json["unread_count"] == 24 - max(20, read), read
        assert room.counts("grace")[0] == 24 - max(20, read), read


def test_a_deletion_of_what_is_read_is_no_unread_one(room: Room) -> None:
    """Also if more unread messages were deleted than the head keeps the positions of."""
    for number in range(20):
        room.post(str(number))
    body = {"last_read_seq": 5}
    room.chat.api("PUT", f"/v1/channels/{room.id}/read", user="grace", body=body)
    for seq in (*range(8, 18), 3, 2):
        room.delete(seq)
    assert room.counts("grace")[0] == 15 - 10


def test_a_reaction_makes_nothing_unread(room: Room) -> None:
    """element-web#21433: neither a reaction, nor an edit, nor a pin raises a count or reorders the list."""
    other = open_room(room.chat, "grace")
    seq = room.post()
    other.post()
    for each in (room, other):
        each.chat.api("PUT", f"/v1/channels/{each.id}/read", user="grace", body={"last_read_seq": 1})
    before = [each["id"] for each in room.chat.listing("grace")["channels"]]
    room.react(seq)
    room.edit(seq, "edited")
    room.pin(seq)
    room.unreact(seq)
    assert room.counts("grace") == (0, 0)
    assert [each["id"] for each in room.chat.listing("grace")["channels"]] == before


# --- versions ---


def test_versions_are_for_the_author_and_moderators(room: Room) -> None:
    """Oldest first, each with its text, its metadata and when it was written; 403 for other members."""
    room.chat.put_member(room.id, "eve")
    seq = room.post("a", "grace", metadata={"n": 1})
    room.chat.clock.ms += 1_000
    room.edit(seq, "b", "grace")
    room.react(seq)
    room.edit(seq, "c", "grace", fields={"metadata": None})
    found = room.versions(seq, "grace")
    assert [(each["version"], each["text"], each.get("metadata")) for each in found] == [
        (1, "a", {"n": 1}),
        (2, "b", {"n": 1}),
        (3, "c", None),
    ]
    assert found[0]["written_at"] == room.message(seq)["created_at"] < found[1]["written_at"]
    assert room.versions(seq, "mo") == room.versions(seq, "ada") == found
    refused = room.chat.api("GET", room.path(seq, "/versions"), user="eve")
    assert_refused(refused, 403, "forbidden")


def test_versions_outlive_a_deletion(room: Room) -> None:
    """The author and moderators still see what was said; nobody else does."""
    seq = room.post("a", "grace")
    room.edit(seq, "b", "grace")
    room.delete(seq, "mo")
    assert [each["text"] for each in room.versions(seq, "mo")] == ["a", "b"]
    assert [each["text"] for each in room.versions(seq, "grace")] == ["a", "b"]
    room.chat.put_member(room.id, "eve")
    assert room.chat.api("GET", room.path(seq, "/versions"), user="eve").status == 403


def test_versions_wait_for_a_change_that_is_not_seen_yet(room: Room, store: Interrupted) -> None:
    """A message may be seen a moment before its last change: no version is missing."""
    seq = room.post("a")
    room.edit(seq, "b")
    room.edit(seq, "c")
    store.unseen = [2, 2]
    assert [each["text"] for each in room.versions(seq)] == ["a", "b", "c"]
    assert store.unseen == []


def test_a_message_that_never_changed_has_one_version(room: Room) -> None:
    """The present one."""
    seq = room.post("a")
    assert [(each["version"], each["text"]) for each in room.versions(seq)] == [(1, "a")]


def test_the_last_twenty_versions_are_kept(room: Room) -> None:
    """After 25 edits: the present one and the 20 before it."""
    seq = room.post("0")
    for number in range(1, 26):
        assert room.edit(seq, str(number)).status == 200
    assert [each["text"] for each in room.versions(seq)] == [str(each) for each in range(5, 26)]
    assert [each["version"] for each in room.versions(seq)] == list(range(6, 27))


# --- other channels, other moments ---


def test_both_members_of_a_direct_channel_change_their_own(chat: Chat) -> None:
    """Each edits and deletes their own messages, reacts to and pins any; neither deletes the other's."""
    room = Room(chat, chat.direct("ada", "grace"))
    for user, other in (("ada", "grace"), ("grace", "ada")):
        seq = room.post("a", user)
        assert room.edit(seq, "b", user).status == 200
        assert code(room.edit(seq, "c", other)) == (403, "forbidden")
        assert code(room.delete(seq, other)) == (403, "forbidden")
        assert room.react(seq, user=other).status == 200
        assert room.pin(seq, other).status == 204
        assert room.delete(seq, user).status == 204


def test_an_archived_channel_changes_no_more(room: Room) -> None:
    """409 for every change; what was changed can be read."""
    seq = room.post("a")
    room.edit(seq, "b")
    room.react(seq, user="grace")
    room.pin(seq)
    room.chat.archive(room.id)
    for response in (
        room.edit(seq, "c"),
        room.delete(seq),
        room.react(seq),
        room.unreact(seq, user="grace"),
        room.pin(seq),
        room.unpin(seq),
    ):
        assert_refused(response, 409, "channel_archived")
    assert len(room.changes("grace")) == 3
    assert room.pins("grace") == [seq]
    assert len(room.versions(seq)) == 2
    assert room.reactions(seq)["users"] == ["grace"]


def test_a_replayed_edit_needs_no_open_channel(room: Room) -> None:
    """The request was carried out before the channel was archived."""
    seq = room.post("a")
    first = room.edit(seq, "b", key="k")
    room.chat.archive(room.id)
    assert room.edit(seq, "b", key="k").body == first.body


def test_a_change_is_made_anew_if_another_came_first(room: Room, store: Interrupted) -> None:
    """Nothing of the other change is lost, and both are in the log."""
    seq = room.post("a")
    store.before = [lambda _: room.react(seq, user="grace"), lambda _: Contended()]
    edited = room.edit(seq, "b")
    assert edited.json["reactions"] == [{"emoji": THUMB, "count": 1, "users": ["grace"]}]
    assert [(each["rev"], each["kind"]) for each in room.changes()] == [(1, "reaction_added"), (2, "edited")]


def test_a_change_is_refused_if_the_right_is_lost_meanwhile(room: Room, store: Interrupted) -> None:
    """A moderator who was made a member between reading and writing deletes nothing."""
    seq = room.post("a")
    store.before = [lambda _: room.chat.put_member(room.id, "mo", role="member")]
    assert code(room.delete(seq, "mo")) == (403, "forbidden")
    store.before = [lambda _: room.chat.remove(room.id, "max")]
    assert code(room.delete(seq, "max")) == (403, "not_a_member")
    assert room.changes() == []


def test_a_change_that_never_comes_first_is_503(room: Room, store: Interrupted) -> None:
    """It gives up after many tries, and nothing was written."""
    seq = room.post("a")
    store.before = [lambda _: StateChanged()] * MAX_TRIES
    refused = room.edit(seq, "b")
    assert (code(refused), refused.headers["retry-after"]) == ((503, "contention"), "1")
    assert room.changes() == []


# --- rate ---


def test_changes_are_limited_like_posts_and_by_themselves(room: Room) -> None:
    """25 at once, then 5 a second; the headers say so, and slow mode holds for posts only."""
    room.set(slow_mode=30)
    seq = room.post(user="grace")
    for count in range(25):
        response = (room.unreact if count % 2 else room.react)(seq, user="grace")
        assert response.headers["ratelimit-limit"] == "25"
        assert response.headers["ratelimit-remaining"] == str(24 - count)
    for refused in (
        room.unreact(seq, user="grace"),
        room.edit(seq, "x", "grace"),
        room.delete(seq, "grace"),
    ):
        assert_refused(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit-remaining"] == "0"
    assert len(room.changes(limit=100)) == 25
    assert room.react(seq).status == 200
    room.chat.clock.ms += 200
    assert room.edit(seq, "x", "grace").headers["ratelimit-reset"] == "5"
    room.post(user="mo")


def test_what_changes_nothing_is_not_counted(room: Room) -> None:
    """A repeated reaction, an edit to the same text and a replay pass without the headers when the limit is used up."""
    seq = room.post("a")
    room.edit(seq, "b", key="k1")
    for _ in range(12):
        room.react(seq)
        room.unreact(seq)
    assert_refused(room.react(seq), 429, "rate_limited")
    for response in (room.unreact(seq), room.edit(seq, "b"), room.edit(seq, "b", key="k1")):
        assert response.status in {200, 204}
        assert "ratelimit-limit" not in response.headers


def test_leaving_does_not_reset_the_limit_of_changes(room: Room) -> None:
    """Who joins again has no more changes than before."""
    seq = room.post()
    for count in range(25):
        (room.unreact if count % 2 else room.react)(seq, user="grace")
    assert room.chat.api("DELETE", f"/v1/channels/{room.id}/members/grace", user="grace").status == 204
    room.chat.put_member(room.id, "grace")
    assert_refused(room.unreact(seq, user="grace"), 429, "rate_limited")


def test_an_edit_whose_response_was_lost_is_there(room: Room, store: Interrupted) -> None:
    """The change log says that it was made."""

    def lose(commit: ChangeCommit) -> ChangeOutcome:
        MemoryStore.commit_change(store, commit)
        raise StoreUnavailableError(retry_after=1)

    seq = room.post("a")
    store.before = [lose]
    assert room.edit(seq, "b").json["text"] == "b"
    assert len(room.changes()) == 1


def test_an_edit_that_was_not_made_for_sure_says_so(room: Room, store: Interrupted) -> None:
    """503 with a code of its own; repeated with the key it is made once."""

    def fail(_: ChangeCommit) -> ChangeOutcome:
        raise StoreUnavailableError(retry_after=1)

    seq = room.post("a")
    store.before = [fail]
    assert code(room.edit(seq, "b", key="k")) == (503, "commit_unknown")
    assert room.edit(seq, "b", key="k").json["version"] == 2
    assert len(room.changes()) == 1
