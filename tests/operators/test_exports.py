"""Exports: their content is what readers get, and they continue where they were interrupted."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest

from operators.exports import Exporter, UnknownError
from operators.reading import PIECE
from shared.domain import keys
from shared.domain.model import Entry, Preview
from shared.domain.retention import DAY_MS, LATEST_MS
from shared.storage.log_reader import DEAD_MS
from tests.functions.chat import messages
from tests.operators.erasing import SECRET, erase
from tests.operators.killed import KillingStore
from tests.shared.use_cases.scripted_store import after

if TYPE_CHECKING:
    from shared.storage.protocol import Store
    from tests.conftest import FakeClock
    from tests.functions.chat import Chat
    from tests.shared.use_cases.scripted_store import ScriptedStore

READS = {
    *("head", "heads", "entries", "members", "memberships", "past_memberships"),
    *("changes", "pins", "has_reacted", "entry_after", "gaps", "follows"),
    *("blocks", "ban_of", "bans", "report", "reports", "reports_made"),
}


def exporter(chat: Chat, store: object = None) -> Exporter:
    """The tool over a store."""
    clock = cast("FakeClock", chat.clock)
    return Exporter(cast("Store", store or chat.api.services.store), clock.sleep, clock.now)


def by_api(chat: Chat, channel: str, user: str = "ada") -> list[str]:
    """A channel's messages as a reader gets them, page by page, byte for byte."""
    found, last = [], 0
    while True:
        body = chat.api("GET", messages(channel), user=user, query={"after": last, "limit": 100}).body
        page = json.loads(body)
        start = body.index('"messages":[') + len('"messages":[')
        found += [body[start : body.rindex('],"first_seq":')]] if page["messages"] else []
        last = page["last_seq"]
        if not page["has_more_after"]:
            return found


def records(lines: list[bytes], kind: str) -> list[dict[str, Any]]:
    """The lines that are not messages."""
    return [json.loads(line)[kind] for line in lines if kind in json.loads(line)]


def test_an_export_leaves_out_what_has_expired(chat: Chat, channel: str) -> None:
    """Messages, changes and mentions of a channel, its threads and a user, deleted or not; nothing is written."""
    chat.api("PATCH", f"/v1/channels/{channel}", body={"retention_days": 1})
    old = chat.post(channel, f"{SECRET} <@joe>", "eve")
    chat.api("PATCH", f"{messages(channel)}/{old['id']}", user="eve", body={"text": f"{SECRET} 3 <@joe>"})
    replied = f"{messages(channel)}/{old['id']}/replies"
    assert chat.api("POST", replied, user="eve", body={"text": f"{SECRET} <@joe>"}).status == 201
    chat.clock.ms += DAY_MS + LATEST_MS
    before = chat.api.services.store.head(channel)
    for lines in (exporter(chat).channel(channel), exporter(chat).user("eve"), exporter(chat).user("joe")):
        found = list(lines)
        assert SECRET.encode() not in b"".join(found)
        assert records(found, "change") == records(found, "mention") == records(found, "version") == []
    assert chat.api.services.store.head(channel) == before
    chat.post(channel, "new", "eve")
    assert [json.loads(line)["text"] for line in exporter(chat).channel(channel) if b'"text"' in line] == [
        "new"
    ]


def test_a_channels_export_is_what_readers_get(chat: Chat, channel: str) -> None:
    """The channel and its members first, then each message as the same bytes, in order."""
    chat.fill(channel, 1_100)
    erase(chat, "joe")
    lines = list(exporter(chat).channel(channel))
    assert b",".join(lines[3:]).decode() == ",".join(by_api(chat, channel))
    assert len(lines) == 3 + 1_103 > 2 * PIECE
    shown = chat.seen(channel)
    [exported] = records(lines, "channel")
    assert exported == {name: shown[name] for name in exported}
    assert set(shown) - set(exported) == {
        "last_message",
        "last_read_seq",
        "unread_count",
        "mention_count",
        "muted",
        "role",
        "blocked",
        "capabilities",
    }
    members = chat.api("GET", f"/v1/channels/{channel}/members").json["members"]
    assert records(lines, "member") == members


def test_a_users_export_is_what_is_theirs(chat: Chat, channel: str) -> None:
    """Memberships with read positions, channels that they left or created, and only their own messages."""
    left, own = chat.channel("eve"), str(chat.create("eve", name="eves own", members=["ada"])["id"])
    chat.post(left, f"{SECRET} 3", "eve")
    chat.remove(left, "me", "eve")
    chat.post(own, f"{SECRET} 4", "eve")
    chat.post(own, "not hers")
    chat.api("PUT", f"/v1/channels/{own}/muted", user="eve", body={"muted": True})
    lines = list(exporter(chat).user("eve"))
    memberships = {each["channel_id"]: each for each in records(lines, "membership")}
    assert set(memberships) == {channel, own}
    assert memberships[own]["last_read_seq"] == 1
    assert (memberships[own]["muted"], memberships[channel]["muted"]) == (True, False)
    assert memberships[own]["role"] == "owner"
    assert [each["channel_id"] for each in records(lines, "former_membership")] == [left]
    assert [each["name"] for each in records(lines, "channel")] == ["eves own"]
    sent = [json.loads(line) for line in lines if line.startswith(b'{"id"')]
    assert {each["sender"] for each in sent} == {"eve"}
    assert sorted(each["text"] for each in sent) == [f"{SECRET} {number}" for number in (1, 2, 3, 4)]
    assert [each["id"] for each in sent] == sorted(each["id"] for each in sent)


def test_after_an_erasure_nothing_is_exported(chat: Chat, channel: str) -> None:
    """The user is unknown, and the channel's export has none of their text."""
    erase(chat)
    with pytest.raises(UnknownError, match="nothing of eve"):
        list(exporter(chat).user("eve"))
    lines = list(exporter(chat).channel(channel))
    assert not [line for line in lines if b"eve" in line]
    assert [json.loads(line).get("redacted") for line in lines[-3:]] == [True, None, True]


@pytest.mark.parametrize("what", ["channel", "user"])
def test_an_export_goes_on_where_it_broke_off(chat: Chat, channel: str, what: str) -> None:
    """The lines up to any message, and those after it, are the whole."""
    other = chat.channel("eve")
    for number in range(3):
        chat.post(other, str(number), "eve")
    tool = exporter(chat)
    export = tool.channel if what == "channel" else tool.user
    name = channel if what == "channel" else "eve"
    whole = list(export(name))
    first = next(at for at, line in enumerate(whole) if line.startswith(b'{"id"'))
    for end in range(first, len(whole)):
        last = json.loads(whole[end])["id"]
        assert whole[: end + 1] + list(export(name, last)) == whole


def test_what_is_unknown_is_said(chat: Chat, channel: str) -> None:
    """An unknown channel, a user without data, a message that is not part of the export."""
    tool, other = exporter(chat), chat.channel()
    elsewhere = keys.message_id(other, 1)
    for lines, why in (
        (tool.channel(keys.new_channel_id()), "no channel"),
        (tool.user("nobody"), "nothing of nobody"),
        (tool.channel(channel, elsewhere), "is not a message of"),
        (tool.user("eve", elsewhere), "is not a message of eve"),
        (tool.user("eve", "x"), "is not a message of eve"),
        (tool.user("eve", f"{channel}-x"), "is not a message of"),
    ):
        with pytest.raises(UnknownError, match=why):
            list(lines)


def test_an_export_writes_nothing(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """It only reads, even if the log has a hole."""
    store.reserve(channel, 1, Preview(0, "eve", "x", chat.clock.ms))
    chat.post(channel, "behind the hole")
    watched = KillingStore(store)
    list(exporter(chat, watched).channel(channel))
    list(exporter(chat, watched).user("eve"))
    assert set(watched.calls) <= READS


def test_a_message_on_its_way_is_waited_for(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """A post that reserved its position before and is committed after the read is exported; nothing after it is."""
    taken = store.reserve(channel, 1, Preview(0, "eve", "late", chat.clock.ms))
    assert taken is not None
    chat.post(channel, "behind it")
    body = b'{"id":"%b","seq":4,"sender":"eve","text":"late"}' % keys.message_id(channel, 4).encode()

    def late(call: Any) -> Any:
        found = call()
        store.void(channel, [Entry(4, 4, chat.clock.ms, body)])
        return found

    store.plan("entries", late)
    began = chat.clock.ms
    lines = list(exporter(chat).channel(channel))
    assert body in lines
    assert [json.loads(line)["seq"] for line in lines[4:]] == [1, 2, 3, 4, 5]
    assert chat.clock.ms - began == DEAD_MS


def test_a_number_that_nobody_uses_is_waited_for_once(
    chat: Chat, channel: str, store: ScriptedStore, clock: FakeClock
) -> None:
    """Holes of writers that died cost one wait for the whole export, and end up empty, as for every reader."""
    for _ in range(3):
        store.reserve(channel, 1, Preview(0, "eve", "x", chat.clock.ms))
        chat.fill(channel, PIECE)
    clock.slept.clear()
    lines = list(exporter(chat).channel(channel))
    assert clock.slept == [DEAD_MS / 1000]
    assert len(lines) == 4 + 3 + 3 * PIECE


def test_the_whole_log_is_never_held(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Lines are written after the first piece was read, however long the log is."""
    chat.fill(channel, 3 * PIECE)
    watched = KillingStore(store)
    lines = exporter(chat, watched).channel(channel)
    list(islice(lines, 10))
    assert watched.calls.count("entries") == 1


def test_an_export_ends_where_the_log_ended(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Later posts are not part of it: it shows one moment."""
    store.plan("entries", after(lambda: chat.post(channel, "meanwhile")))
    texts = [json.loads(line)["text"] for line in list(exporter(chat).channel(channel))[4:]]
    assert len(texts) == 3
    assert "meanwhile" not in texts
