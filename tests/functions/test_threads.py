"""Threads: replies, what the root says of them, who follows them, and the copy in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.changes import SHOWN_REPLIERS
from shared.domain.keys import message_id
from shared.domain.model import MAX_GAPS, MAX_KEPT_MENTIONS, Entry, Preview
from tests.functions.changing import THUMB, Room, code, open_room
from tests.functions.chat import messages
from tests.functions.threading import Thread

if TYPE_CHECKING:
    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace and eve are members, mo is a moderator; ada's message is at position 1."""
    room = open_room(chat, "grace", "eve", moderators=("mo",))
    room.post("root")
    return room


@pytest.fixture
def thread(room: Room) -> Thread:
    """The thread of the first message, without a reply."""
    return Thread(room)


# --- replies ---


def test_replies_are_messages_of_a_log_of_their_own(thread: Thread) -> None:
    """They have positions and ids of the thread; the channel has none of them."""
    assert thread.page() == {
        "channel_id": thread.room.id,
        "thread_id": thread.id,
        "messages": [],
        "first_seq": 1,
        "last_seq": 0,
        "channel_last_seq": 0,
        "channel_last_rev": 0,
        "has_more_before": False,
        "has_more_after": False,
    }
    first, second = thread.reply("one", "grace"), thread.reply("two", metadata={"a": 1})
    assert (first["id"], second["seq"]) == (message_id(thread.id, 1), 2)
    assert thread.page()["messages"] == [first, second]
    assert thread.texts(after=1) == ["two"]
    assert thread.change("GET", 2).json == second
    assert [each["seq"] for each in thread.room.chat.page(thread.room.id)["messages"]] == [1]
    assert thread.room.chat.seen(thread.room.id, "eve")["unread_count"] == 1


def test_a_batch_of_replies_and_a_key(thread: Thread) -> None:
    """As for messages: all or none, once for a key, at the address that the response names."""
    body = {"messages": [{"text": "1"}, {"text": "2"}]}
    headers = {"idempotency-key": "k1"}
    made = thread.api("POST", "/replies", body=body, headers=headers)
    assert made.status == 201, made.body
    again = thread.api("POST", "/replies", body=body, headers=headers)
    assert (again.body, again.headers["idempotency-replayed"]) == (made.body, "true")
    assert thread.texts() == ["1", "2"]
    assert made.headers["location"].endswith(f"/messages/{thread.id}/replies?after=0&limit=2")
    assert (
        thread.api("POST", "/replies", body={"text": "3"}, headers=headers).code == "idempotency_key_reused"
    )
    assert thread.count() == 2


def test_replies_count_for_the_rate_of_the_channel(thread: Thread) -> None:
    """Slow mode holds for channel and threads together."""
    thread.room.set(slow_mode=60)
    thread.reply("one", "grace")
    response = thread.room.chat.api("POST", messages(thread.room.id), user="grace", body={"text": "two"})
    assert code(response) == (429, "rate_limited")


def test_threads_are_one_level_deep(thread: Thread) -> None:
    """A reply has no thread and no pin; what is no message has no thread."""
    thread.reply()
    for method, rest, body in (
        ("GET", "/replies", None),
        ("POST", "/replies", {"text": "deeper"}),
        ("GET", "/replies/changes", None),
        ("PUT", "/thread/read", {"last_read_seq": 0}),
        ("PUT", "/thread/follow", None),
        ("DELETE", "/thread/follow", None),
        ("PUT", "/pin", None),
        ("DELETE", "/pin", None),
    ):
        assert code(thread.change(method, 1, rest, body=body)) == (409, "nested_thread")
    for missing in (2, 10**9):
        other = Thread(thread.room, missing)
        assert code(other.api("GET", "/replies")) == (404, "message_not_found")
        assert code(other.api("POST", "/replies", body={"text": "lost"})) == (404, "message_not_found")
    path = f"{messages(thread.room.id)}/nonsense/replies"
    assert code(thread.room.chat.api("GET", path)) == (404, "message_not_found")


def test_a_thread_is_its_channels(thread: Thread, chat: Chat) -> None:
    """Who is no member may neither read nor write it, nor learn of it by another channel."""
    thread.reply()
    for method, rest, body in (("GET", "/replies", None), ("POST", "/replies", {"text": "hello"})):
        assert code(thread.api(method, rest, "zoe", body=body)) == (403, "not_a_member")
    other = chat.channel(kind="private")
    path = f"{messages(other)}/{thread.id}/replies"
    assert code(chat.api("GET", path)) == (404, "message_not_found")
    assert code(chat.api("GET", path, user="grace")) == (404, "channel_not_found")


def test_who_left_the_channel_reads_no_thread(thread: Thread, chat: Chat) -> None:
    """Nor is it listed, nor its mentions; who comes again finds what they followed."""
    thread.reply("<@grace>", "eve")
    assert thread.counts("grace") == (1, 1)
    assert chat.remove(thread.room.id, "grace").status == 204
    assert code(thread.api("GET", "/replies", "grace")) == (403, "not_a_member")
    assert thread.listed("grace") == []
    assert chat.api("GET", "/v1/mentions", user="grace").json["mentions"] == []
    assert chat.put_member(thread.room.id, "grace").status == 201
    assert thread.counts("grace") == (1, 1)


def test_nothing_is_written_in_an_archived_channel(thread: Thread, chat: Chat) -> None:
    """Its threads can still be read, and a summary that lags catches up."""
    for text in "1234":
        thread.reply(text)
    thread.reply("5")
    assert thread.count() == 4
    assert chat.archive(thread.room.id).status == 204
    assert code(thread.api("POST", "/replies", body={"text": "late"})) == (409, "channel_archived")
    assert code(thread.change("DELETE", 1)) == (409, "channel_archived")
    assert len(thread.texts()) == 5
    assert thread.count() == 5


# --- changes of replies ---


def test_replies_are_edited_deleted_and_reacted_to(thread: Thread) -> None:
    """By the routes of messages; the thread has a change log of its own."""
    thread.reply("one", "grace")
    thread.reply("two", "eve")
    assert thread.change("PATCH", 1, user="grace", body={"text": "first"}).json["version"] == 2
    assert code(thread.change("PATCH", 1, user="eve", body={"text": "mine"})) == (403, "forbidden")
    assert thread.change("PUT", 1, f"/reactions/{THUMB}/me").status == 200
    assert thread.change("DELETE", 2, user="mo").status == 204
    page = thread.api("GET", "/replies/changes").json
    assert (page["channel_id"], page["thread_id"]) == (thread.room.id, thread.id)
    assert [(each["kind"], each["message_id"]) for each in page["changes"]] == [
        ("edited", message_id(thread.id, 1)),
        ("reaction_added", message_id(thread.id, 1)),
        ("deleted", message_id(thread.id, 2)),
    ]
    first, second = thread.page()["messages"]
    assert (first["text"], first["reactions"][0]["users"]) == ("first", ["ada"])
    assert (second["text"], second["deleted_by"]) == ("", "mo")
    texts = [each["text"] for each in thread.change("GET", 1, "/versions").json["versions"]]
    assert texts == ["one", "first"]
    assert thread.change("GET", 1, "/reactions", query={"emoji": THUMB}).json["users"] == ["ada"]
    assert (
        thread.room.chat.api("GET", f"/v1/channels/{thread.room.id}/changes").json["changes"][-1]["kind"]
        == "thread"
    )


def test_a_page_of_replies_has_a_tag(thread: Thread) -> None:
    """It stays while nothing happens in the thread, whatever happens in the channel."""
    thread.reply()
    tag = thread.api("GET", "/replies").headers["etag"]
    thread.room.post("elsewhere")
    known = {"if-none-match": tag}
    assert thread.api("GET", "/replies", headers=known).status == 304
    assert thread.change("PUT", 1, f"/reactions/{THUMB}/me").status == 200
    changed = thread.api("GET", "/replies", headers=known)
    assert (changed.status, changed.json["messages"][0]["rev"]) == (200, 1)


# --- what the root says ---


def test_the_root_shows_its_thread(thread: Thread) -> None:
    """Absent before the first reply; then the count, the time of the last and who replied first."""
    assert thread.summary() is None
    first = thread.reply("1", "grace")
    assert thread.summary() == {
        "reply_count": 1,
        "last_reply_at": first["created_at"],
        "last_reply_seq": 1,
        "repliers": ["grace"],
    }
    change = thread.room.changes()[-1]
    assert (change["kind"], change["by"], change["seq"]) == ("thread", "grace", 1)
    assert thread.room.message(1)["rev"] == change["rev"]
    assert "version" not in thread.room.message(1)
    assert thread.room.counts("eve") == (1, 0)


def test_every_third_reply_writes_the_summary(thread: Thread) -> None:
    """In between it lags, never ahead; reading the thread makes it right."""
    counts = []
    for _ in range(8):
        thread.reply()
        counts.append(thread.count())
    assert counts == [1, 1, 1, 4, 4, 4, 7, 7]
    changes = len(thread.room.changes())
    thread.page("eve")
    assert thread.count() == 8
    thread.page("grace")
    assert len(thread.room.changes()) == changes + 1


def test_a_busy_thread_writes_its_summary_with_every_25th_reply(thread: Thread) -> None:
    """Replies within a second after the one before leave it to these; once it is quiet, every third writes it again."""
    thread.reply()
    for user, size, count in (("grace", 20, 1), ("eve", 4, 25), ("mo", 3, 25)):
        body = {"messages": [{"text": "Yes"}] * size}
        assert thread.api("POST", "/replies", user, body=body).status == 201
        assert thread.count() == count
    for _ in range(3):
        thread.reply()
    assert thread.count() == 31


def test_deleted_replies_are_not_counted(thread: Thread) -> None:
    """stream-chat-flutter#1149 and #1409, stream-chat-js#1328: reply_count counts deleted ones."""
    for text in "123":
        thread.reply(text, "eve")
    thread.page()
    for deleted, left in ((2, 2), (3, 1), (3, 1), (1, 0)):
        thread.delete(deleted, "eve")
        assert thread.count() == left
    summary = thread.summary()
    assert summary is not None
    assert (summary["last_reply_at"], summary["repliers"]) == (None, [])
    thread.reply("4", "grace")
    thread.page()
    summary = thread.summary()
    assert summary is not None
    assert (summary["reply_count"], summary["repliers"]) == (1, ["grace"])


def test_a_reply_that_is_not_counted_yet_is_deleted(thread: Thread) -> None:
    """The deletion counts the others, and not this one."""
    for user in ("grace", "eve", "mo"):
        thread.reply("Yes", user)
    assert thread.count() == 1
    thread.delete(2, "eve")
    summary = thread.summary()
    assert summary is not None
    assert (summary["reply_count"], summary["last_reply_seq"], summary["repliers"]) == (2, 3, ["grace", "mo"])


def test_the_root_shows_the_first_repliers(chat: Chat) -> None:
    """Five, each once, in the order of their first reply that is still there."""
    users = [f"user{i}" for i in range(SHOWN_REPLIERS + 2)]
    room = open_room(chat, *users)
    room.post()
    thread = Thread(room)
    for each in [users[0], *users]:
        thread.reply("Yes", each)
    thread.page()
    shown = thread.summary()
    assert shown is not None
    assert shown["repliers"] == users[:SHOWN_REPLIERS]
    thread.delete(3, users[1])
    thread.delete(1, users[0])
    shown = thread.summary()
    assert shown is not None
    assert shown["repliers"] == [users[0], *users[2 : SHOWN_REPLIERS + 1]]


def test_the_summary_stays_with_every_change_of_the_root(thread: Thread) -> None:
    """An edit, a reaction and a deletion keep it; it is no edit, and the replies outlive their root."""
    thread.reply("1", "grace")
    shown = thread.summary()
    assert thread.room.edit(1, "changed").json["thread"] == shown
    assert thread.room.react(1).json["thread"] == shown
    assert [each["text"] for each in thread.room.versions(1)] == ["root", "changed"]
    assert thread.room.delete(1).status == 204
    assert thread.summary() == shown
    for text in "234":
        thread.reply(text)
    message = thread.room.message(1)
    assert (message["deleted"], message["thread"]["reply_count"]) == (True, 4)
    page = thread.room.chat.page(thread.room.id)["messages"]
    assert page == [message]


def test_a_deleted_message_takes_no_first_reply(thread: Thread) -> None:
    """A thread that is there goes on."""
    assert thread.room.delete(1).status == 204
    assert code(thread.api("POST", "/replies", body={"text": "late"})) == (409, "message_deleted")


def test_the_summary_stops_at_a_reply_that_is_being_posted(thread: Thread) -> None:
    """It never counts what may become a void; once that is settled it counts the rest."""
    store, clock = thread.room.chat.api.services.store, thread.room.chat.clock
    thread.reply()
    store.reserve(thread.id, 1, Preview(0, "eve", "lost", clock.ms))
    for text in "345":
        thread.reply(text)
    assert thread.count() == 1
    assert thread.texts() == ["Yes", "3", "4", "5"]
    assert thread.count() == 4
    store.void(thread.id, [Entry(6, 6, clock.ms, None)])
    assert thread.count() == 4


# --- following ---


def test_participants_follow_by_themselves(thread: Thread) -> None:
    """Who replies, who is named, and the root's author with the first reply of somebody else."""
    thread.reply("mine")
    assert thread.counts("ada") == (0, 0)
    thread.reply("<@eve>", "grace")
    assert (thread.counts("ada"), thread.counts("grace")) == ((1, 0), (0, 0))
    assert (thread.counts("eve"), thread.counts("mo")) == ((2, 1), None)
    other = Thread(thread.room, thread.room.post("second"))
    other.reply("first", "grace")
    assert other.counts("ada") == (1, 0)


def test_a_reply_moves_the_read_position_of_its_author(thread: Thread) -> None:
    """In the thread alone, as in a channel."""
    thread.reply("1", "grace")
    thread.reply("2", "eve")
    assert thread.counts("grace") == (1, 0)
    thread.reply("3", "grace")
    assert thread.counts("grace") == (0, 0)
    assert thread.room.counts("grace") == (1, 0)


def test_the_list_of_threads(thread: Thread, chat: Chat) -> None:
    """The latest reply first, with its beginning; page by page; with unread ones only if asked."""
    other = Thread(thread.room, thread.room.post("second"))
    thread.reply("1", "grace")
    last = other.reply("2", "grace")
    found = other.listed("ada")
    assert found[0] == {
        "channel_id": thread.room.id,
        "thread_id": other.id,
        "last_seq": 1,
        "last_rev": 0,
        "last_message": {name: last[name] for name in ("id", "seq", "text", "sender", "created_at")},
        "last_read_seq": 0,
        "unread_count": 1,
        "mention_count": 0,
    }
    assert [each["thread_id"] for each in found] == [other.id, thread.id]
    other.read(1)
    assert [each["thread_id"] for each in thread.listed("ada", unread="true")] == [thread.id]
    page = chat.api("GET", "/v1/threads", query={"limit": 1}).json
    following = chat.api("GET", "/v1/threads", query={"limit": 1, "cursor": page["next_cursor"]}).json
    assert [each["thread_id"] for each in page["threads"] + following["threads"]] == [other.id, thread.id]
    assert following["next_cursor"] is None
    assert chat.api("GET", "/v1/threads", query={"cursor": "W10"}).code == "invalid_cursor"


def test_following_and_unfollowing(thread: Thread) -> None:
    """What is there when one follows counts as read; who unfollows is not told until they take part again."""
    thread.reply("1", "grace")
    thread.follow("mo")
    thread.reply("2", "grace")
    assert thread.counts("mo") == (1, 0)
    thread.unfollow("mo")
    thread.unfollow("mo")
    assert thread.counts("mo") is None
    thread.reply("3", "grace")
    thread.unfollow("ada")
    thread.reply("4", "grace")
    assert thread.counts("ada") is None
    thread.reply("5 <@mo>", "ada")
    assert (thread.counts("mo"), thread.counts("ada")) == ((5, 1), (0, 0))


def test_a_message_without_replies_is_followed_but_not_listed(thread: Thread) -> None:
    """Until the first reply."""
    thread.follow("eve")
    assert thread.listed("eve") == []
    thread.reply()
    assert thread.counts("eve") == (1, 0)


def test_marking_a_thread_as_read(thread: Thread) -> None:
    """Forward, back with force, not beyond the end; without following there is nothing to mark."""
    for text in "123":
        thread.reply(text, "grace")
    assert thread.read(2) == {
        "channel_id": thread.room.id,
        "thread_id": thread.id,
        "following": True,
        "last_read_seq": 2,
        "unread_count": 1,
        "mention_count": 0,
    }
    assert thread.read(1)["last_read_seq"] == 2
    assert thread.read(1, force=True)["unread_count"] == 2
    assert thread.page(anchor="first_unread", limit=1)["first_seq"] == 2
    body = {"last_read_seq": 4}
    assert code(thread.api("PUT", "/thread/read", body=body)) == (422, "position_out_of_range")
    assert thread.read(2, "mo") == {
        "channel_id": thread.room.id,
        "thread_id": thread.id,
        "following": False,
        "last_read_seq": None,
        "unread_count": None,
        "mention_count": None,
    }
    assert thread.listed("mo") == []


def test_a_deleted_reply_is_not_unread(thread: Thread) -> None:
    """element-ios#7876: a deleted thread message stays unread."""
    for text in "1234":
        thread.reply(text, "grace")
    assert thread.counts("ada") == (4, 0)
    thread.delete(4, "grace")
    thread.delete(2, "grace")
    assert thread.counts("ada") == (2, 0)
    thread.delete(1, "grace")
    thread.delete(3, "grace")
    assert thread.counts("ada") == (0, 0)
    assert thread.listed("ada", unread="true") == []


def test_more_deleted_replies_than_a_head_keeps_are_not_unread(thread: Thread) -> None:
    """The count is exact beyond ``MAX_GAPS`` gaps too."""
    for i in range(MAX_GAPS + 3):
        thread.reply(str(i), "grace")
    for seq in range(1, MAX_GAPS + 3):
        thread.delete(seq, "grace")
    assert thread.counts("ada") == (1, 0)


# --- mentions ---


def test_mentions_in_replies(thread: Thread, chat: Chat) -> None:
    """In the inbox with the thread; counted there and not in the channel; an edit tells the newly named only."""
    seq = thread.room.post("<@eve> in the channel")
    reply = thread.reply("<@eve> in the thread", "grace")
    (newest, older) = chat.api("GET", "/v1/mentions", user="eve").json["mentions"]
    assert newest == {
        "channel_id": thread.room.id,
        "thread_id": thread.id,
        "is_read": False,
        "message": reply,
    }
    assert (older["message"]["seq"], "thread_id" in older) == (seq, False)
    assert (thread.counts("eve"), thread.room.counts("eve")) == ((1, 1), (2, 1))
    first = chat.api("GET", "/v1/mentions", user="eve", query={"limit": 1}).json
    rest = chat.api("GET", "/v1/mentions", user="eve", query={"cursor": first["next_cursor"]}).json
    assert [each["message"]["seq"] for each in rest["mentions"]] == [seq]
    assert thread.change("PATCH", 1, user="grace", body={"text": "<@mo>"}).status == 200
    assert (thread.counts("eve"), thread.counts("mo")) == ((1, 0), (1, 1))
    thread.read(1, "mo")
    assert thread.counts("mo") == (0, 0)
    thread.delete(1, "grace")
    assert chat.api("GET", "/v1/mentions", user="mo").json["mentions"] == []


def test_nobody_names_everybody_in_a_thread(thread: Thread) -> None:
    """It is text like any other."""
    reply = thread.reply("<!channel> <!here>", "grace")
    assert "mentions_everybody" not in reply
    assert (thread.counts("eve"), thread.room.counts("eve")) == (None, (1, 0))


def test_a_thread_keeps_the_latest_mentions(thread: Thread, chat: Chat) -> None:
    """As many as a membership does."""
    for _ in range(MAX_KEPT_MENTIONS + 3):
        thread.reply("<@eve>", "grace")
    (follow,) = chat.api.services.store.follows("eve")
    assert len(follow.mentions) == MAX_KEPT_MENTIONS


# --- also in the channel ---


def test_a_reply_that_is_also_in_the_channel(thread: Thread) -> None:
    """Two messages that name each other; it counts as unread in both, and its mention once."""
    made = thread.reply("<@eve> done", "grace", also_in_channel=True)
    copy = thread.room.message(2)
    assert made["channel_message_id"] == copy["id"]
    assert (copy["reply_id"], copy["thread_id"]) == (made["id"], thread.id)
    assert (copy["text"], copy["created_at"]) == (made["text"], made["created_at"])
    assert (thread.counts("eve"), thread.room.counts("eve")) == ((1, 1), (2, 0))
    assert thread.room.counts("grace") == (0, 0)
    assert thread.count() == 1
    batch = {"messages": [{"text": "1", "also_in_channel": True}]}
    assert code(thread.api("POST", "/replies", body=batch)) == (422, "validation_failed")
    posted = {"text": "1", "also_in_channel": True}
    assert code(thread.room.chat.api("POST", messages(thread.room.id), body=posted)) == (
        422,
        "validation_failed",
    )


@pytest.mark.parametrize("where", ["reply", "channel"])
def test_an_edit_or_deletion_of_either_changes_the_other(thread: Thread, where: str) -> None:
    """A reply and its copy stay the same; the summary is lowered."""
    thread.reply("first <@eve>", "grace", also_in_channel=True)

    def do(method: str, **more: Any) -> int:
        if where == "reply":
            return thread.change(method, 1, user="grace", **more).status
        return thread.room.chat.api(method, thread.room.path(2), user="grace", **more).status

    assert do("PATCH", body={"text": "second <@mo>"}) == 200
    assert {thread.change("GET", 1).json["text"], thread.room.message(2)["text"]} == {"second <@mo>"}
    assert (thread.counts("eve"), thread.counts("mo"), thread.room.counts("mo")) == ((1, 0), (1, 1), (2, 0))
    assert do("DELETE") == 204
    assert do("DELETE") == 204
    assert thread.change("GET", 1).json["deleted"] is thread.room.message(2)["deleted"] is True
    assert (thread.count(), thread.counts("mo"), thread.room.counts("mo")) == (0, (0, 0), (1, 0))
