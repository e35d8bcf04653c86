"""Threads in exports and erasures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.domain.changes import summary_of
from shared.domain.model import ERASED
from tests.functions.changing import Room, open_room
from tests.functions.threading import Thread
from tests.operators.erasing import erase, everything_of
from tests.operators.test_export_changes import exporter, records

if TYPE_CHECKING:
    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Eve wrote the second root, replied in both threads, reacted and was named; joe did the rest."""
    room = open_room(chat, "eve", "joe", kind="private")
    room.post("first")
    room.post("the root of eve", "eve")
    one, two = Thread(room, 1), Thread(room, 2)
    one.reply("the reply of eve", "eve")
    one.reply("hello <@eve>", "joe")
    one.reply("both of eve", "eve", also_in_channel=True)
    assert one.change("PUT", 2, "/reactions/:ship_it:/me", "eve").status == 200
    two.reply("joe in the thread of eve", "joe")
    two.reply("another of eve", "eve")
    one.page()
    two.page()
    return room


def test_a_channels_export_has_its_threads(room: Room) -> None:
    """After its own messages and changes; it goes on after any message, also a reply."""
    lines = list(exporter(room.chat).channel(room.id))
    sent = [json.loads(line) for line in lines if line.startswith(b'{"id"')]
    assert [each["text"] for each in sent] == [
        *("first", "the root of eve", "both of eve"),
        *("the reply of eve", "hello <@eve>", "both of eve"),
        *("joe in the thread of eve", "another of eve"),
    ]
    assert [each["kind"] for each in records(lines, "change")][-1] == "reaction_added"
    for each in sent:
        rest = list(exporter(room.chat).channel(room.id, each["id"]))
        ids = [json.loads(line)["id"] for line in rest if line.startswith(b'{"id"')]
        assert ids == [other["id"] for other in sent[sent.index(each) + 1 :]]


def test_a_users_export_has_their_replies(room: Room) -> None:
    """With the threads that they follow, mentions and reactions there."""
    lines = list(exporter(room.chat).user("eve"))
    sent = [json.loads(line) for line in lines if line.startswith(b'{"id"')]
    assert [each["text"] for each in sent] == [
        *("the root of eve", "both of eve"),
        *("the reply of eve", "both of eve", "another of eve"),
    ]
    assert [each["thread_id"] for each in records(lines, "followed_thread")] == [
        Thread(room, 1).id,
        Thread(room, 2).id,
    ]
    assert [each["message_id"] for each in records(lines, "mention")] == [f"{Thread(room, 1).id}-00000002"]
    assert [each["message_id"] for each in records(lines, "reaction")] == [f"{Thread(room, 1).id}-00000002"]
    again = list(exporter(room.chat).user("eve", sent[3]["id"]))
    assert [json.loads(line)["text"] for line in again if line.startswith(b'{"id"')] == ["another of eve"]


def test_an_erased_user_is_in_no_thread(room: Room) -> None:
    """Their replies are redacted, also under a redacted root; nothing stored names them, and what follows goes on."""
    one, two = Thread(room, 1), Thread(room, 2)
    done = erase(room.chat)
    assert done.messages == 5
    stored = everything_of(room.chat.api.services.store)  # type: ignore[arg-type]
    assert "of eve" not in stored.replace("the thread of eve", "")
    assert "'eve'" not in stored
    assert '"eve"' not in stored
    assert room.chat.api.services.store.follows("eve") == []
    assert [(each["sender"], each["text"]) for each in one.page()["messages"]] == [
        (ERASED, ""),
        ("joe", f"hello <@{ERASED}>"),
        (ERASED, ""),
    ]
    summary = one.summary()
    assert summary is not None
    assert (summary["reply_count"], summary["repliers"]) == (3, ["joe"])
    assert two.summary() is None
    assert two.texts() == ["joe in the thread of eve", ""]
    for text in ("4", "5", "6"):
        two.reply(text, "joe")
        one.reply(text, "joe")
    assert (one.count(), two.summary()) == (6, None)
    assert summary_of(json.dumps(room.message(2)).encode()) is None
