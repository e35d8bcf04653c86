"""Exports and erasures of blocks, bans and reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.domain import keys
from shared.domain.model import ERASED
from tests.functions.chat import messages
from tests.operators.erasing import erase, everything_of
from tests.operators.test_exports import exporter, records

if TYPE_CHECKING:
    from tests.functions.chat import Chat
    from tests.shared.use_cases.scripted_store import ScriptedStore

REPORT = {"reason": "abuse", "text": "what eve says"}


def report(chat: Chat, channel: str, seq: int, user: str) -> dict[str, Any]:
    """A user's report of a message."""
    path = f"{messages(channel)}/{keys.message_id(channel, seq)}/reports"
    return dict(chat.api("POST", path, user=user, body=REPORT).json)


def test_an_erased_user_is_in_no_block_ban_or_report(chat: Chat, store: ScriptedStore) -> None:
    """Neither as who did it, nor as whom it was done to; what others report stays."""
    own = str(chat.create("eve", name="own", members=["ada", "joe"])["id"])
    others = chat.channel("eve", "joe")
    direct = chat.direct("eve", "joe")
    for user, other in (("eve", "joe"), ("ada", "eve")):
        chat.api("PUT", f"/v1/blocks/{other}", user=user)
    for channel in (own, others):
        chat.post(channel, "one", "joe")
        chat.post(channel, "two", "eve")
    reports = [report(chat, own, 1, "eve"), report(chat, own, 2, "joe"), report(chat, others, 1, "eve")]
    closed = {"status": "closed", "resolution": "what eve decides"}
    chat.api("PUT", f"/v1/channels/{own}/reports/{reports[1]['id']}", user="eve", body=closed)
    chat.api("PUT", f"/v1/channels/{own}/bans/olga", user="eve", body={"reason": "what eve thinks"})
    chat.api("PUT", f"/v1/channels/{others}/bans/eve", body={"reason": "what ada thinks of her"})
    assert erase(chat).messages == 2
    text = everything_of(store).replace(repr(REPORT["text"]), "", 1)  # joe's words
    assert "'eve'" not in text
    assert not [each for each in ("what eve", "what ada thinks") if each in text]
    assert [each.by for each in store.bans(own, 9, None)] == [ERASED]
    [kept] = store.reports(own, 9, None, is_open=False)
    assert (kept.reporter, kept.text, kept.closed_by) == ("joe", REPORT["text"], ERASED)
    joes = store.membership(direct, "joe")
    assert joes
    assert not joes.is_blocked
    assert chat.api("GET", "/v1/blocks").json == {"blocks": []}


def test_who_was_only_banned_is_erased(chat: Chat, store: ScriptedStore) -> None:
    """Without ever having been a member."""
    channel = chat.channel()
    chat.api("PUT", f"/v1/channels/{channel}/bans/eve")
    erase(chat)
    assert "'eve'" not in everything_of(store)


def test_exports_have_what_is_about_their_subject(chat: Chat, channel: str) -> None:
    """A user's: their blocks, bans and reports, not who bans, blocks or reports them; a channel's: all of it."""
    chat.api("PUT", "/v1/blocks/joe", user="eve")
    chat.api("PUT", "/v1/blocks/eve", user="joe")
    made = report(chat, channel, 2, "eve")
    about = report(chat, channel, 1, "joe")
    chat.api("PUT", f"/v1/channels/{channel}/bans/eve", body={"reason": "enough"})
    lines = list(exporter(chat).user("eve"))
    assert [each["user_id"] for each in records(lines, "block")] == ["joe"]
    assert records(lines, "report") == [made]
    [ban] = records(lines, "ban")
    assert (ban["channel_id"], ban["reason"]) == (channel, "enough")
    assert "banned_by" not in ban
    assert [each["channel_id"] for each in records(lines, "former_membership")] == [channel]
    lines = list(exporter(chat).channel(channel))
    assert [each["banned_by"] for each in records(lines, "ban")] == ["ada"]
    assert {each["id"] for each in records(lines, "report")} == {made["id"], about["id"]}


def test_who_only_blocks_has_an_export(chat: Chat) -> None:
    """The blocks."""
    chat.api("PUT", "/v1/blocks/joe", user="olga")
    [line] = exporter(chat).user("olga")
    assert json.loads(line)["block"]["user_id"] == "joe"


def test_who_was_only_banned_has_an_export(chat: Chat, channel: str) -> None:
    """The ban, and no former membership."""
    chat.api("PUT", f"/v1/channels/{channel}/bans/olga")
    [line] = exporter(chat).user("olga")
    assert json.loads(line)["ban"]["user_id"] == "olga"
