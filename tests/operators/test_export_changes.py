"""Exports of what was changed: versions, reactions, mentions, pins, and a channel's change log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from operators.exports import Exporter
from tests.functions.chat import messages
from tests.operators.changing import MORE, change, lively
from tests.operators.erasing import erase

if TYPE_CHECKING:
    from tests.conftest import FakeClock
    from tests.functions.chat import Chat


def exporter(chat: Chat) -> Exporter:
    """The tool."""
    clock = cast("FakeClock", chat.clock)
    return Exporter(chat.api.services.store, clock.sleep, clock.now)


def records(lines: list[bytes], kind: str) -> list[dict[str, Any]]:
    """The lines of one type."""
    return [json.loads(line)[kind] for line in lines if line.startswith(b'{"%b":{' % kind.encode())]


def test_a_channels_export_has_its_change_log(chat: Chat) -> None:
    """Each change as readers get it, in order; edits and deletions also with the message before them."""
    channel = lively(chat)
    lines = list(exporter(chat).channel(channel))
    read = chat.api("GET", f"/v1/channels/{channel}/changes", query={"limit": 100}).json["changes"]
    exported = records(lines, "change")
    # Readers get the message of its latest change alone.
    kept = [{k: v for k, v in each.items() if k in shown} for each, shown in zip(exported, read, strict=True)]
    assert kept == read
    before = {each["rev"]: each["before"]["text"] for each in exported if "before" in each}
    assert list(before.values()) == [
        f"{MORE} 1",
        f"{MORE} 3, <@joe>",
        f"{MORE} 2",
        "hello <@eve>",
        "rude",
    ]
    assert [each["kind"] for each in exported if each["rev"] in before] == [
        *("edited", "edited", "deleted", "edited", "deleted")
    ]


def test_a_users_export_has_what_they_changed(chat: Chat) -> None:
    """Their messages as they are now, earlier versions, reactions (shown or not), mentions and pins of theirs."""
    channel = lively(chat)
    lines = list(exporter(chat).user("eve"))
    sent = [json.loads(line) for line in lines if line.startswith(b'{"id"')]
    assert [(each["seq"], each["text"], "deleted" in each) for each in sent] == [
        (1, f"{MORE} 4", False),
        (2, "", True),
    ]
    versions = records(lines, "version")
    assert [(each["seq"], each["text"]) for each in versions] == [
        (1, f"{MORE} 1"),
        (1, f"{MORE} 3, <@joe>"),
        (2, f"{MORE} 2"),
    ]
    reactions = records(lines, "reaction")
    assert [(each["seq"], each["emoji"]) for each in reactions] == [
        (3, ":ship_it:"),
        (3, ":+1:"),
        (6, ":ship_it:"),
    ]
    assert {each["channel_id"] for each in reactions} == {channel}
    assert [each["seq"] for each in records(lines, "mention")] == [3, 7]
    [pin] = records(lines, "pin")
    assert (pin["seq"], pin["message_id"]) == (6, reactions[-1]["message_id"])


def test_what_was_taken_back_is_not_exported(chat: Chat) -> None:
    """A reaction that was removed, a pin that was removed, or set again by somebody else."""
    channel = lively(chat)
    named, crowded = (each for each in chat.page(channel)["messages"] if each["seq"] in {3, 6})
    change(chat, "DELETE", named, "/reactions/:+1:/me", "eve")
    change(chat, "DELETE", crowded, "/reactions/:ship_it:/me", "eve")
    change(chat, "DELETE", crowded, "/pin", "ada")
    change(chat, "PUT", crowded, "/pin", "ada")
    lines = list(exporter(chat).user("eve"))
    assert [(each["seq"], each["emoji"]) for each in records(lines, "reaction")] == [(3, ":ship_it:")]
    assert records(lines, "pin") == []


def test_an_export_goes_on_after_any_message(chat: Chat) -> None:
    """No record is lost, whichever line was the last."""
    channel = lively(chat)
    chat.post(chat.channel("eve"), "elsewhere", "eve")
    for export, name in ((exporter(chat).user, "eve"), (exporter(chat).channel, channel)):
        whole = list(export(name))
        for end in range(1, len(whole) + 1):
            sent = [json.loads(line)["id"] for line in whole[:end] if line.startswith(b'{"id"')]
            if sent:
                assert {*whole[:end], *export(name, sent[-1])} == {*whole}


def test_after_an_erasure_the_channels_export_does_not_have_the_user(chat: Chat) -> None:
    """Neither in its messages nor in its change log."""
    channel = lively(chat)
    erase(chat)
    lines = list(exporter(chat).channel(channel))
    assert len(records(lines, "change")) > 30
    assert not [line for line in lines if b"eve" in line]
    assert chat.api("GET", messages(channel), user="eve").status == 404
