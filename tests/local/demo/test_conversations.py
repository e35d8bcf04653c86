"""Conversations are read from JSON lines and Slack exports, in order, and nothing is dropped silently."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.demo.conversations import Conversation, SourceError, Turn, read, user_id
from local.demo.run import SAMPLE
from shared.domain.model import MAX_TEXT

LINES = (
    '\ufeff{"conversation": 7, "turns": [["ada", "hi"], ["grace", "ho 🐦"]]}\n\n'
    '{"conversation": "b", "turns": []}\n'
)
HELLO = Conversation("7", [Turn("ada", "hi"), Turn("grace", "ho 🐦")])

EXPORT: dict[str, Any] = {
    "users.json": [{"id": "U1", "name": "ada"}, {"id": "U2", "name": "grace"}, {"id": "U3", "name": "ada"}],
    "channels.json": [{"id": "C1", "name": "general"}, {"id": "C2", "name": "../outside"}, {"name": "gone"}],
    "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
    "general/2026-01-02.json": [
        {"type": "message", "user": "U2", "text": "third", "ts": "1767312000.000200"},
        {
            "type": "message",
            "subtype": "channel_join",
            "user": "U2",
            "text": "joined",
            "ts": "1767312000.000100",
        },
    ],
    "general/2026-01-01.json": [
        {
            "type": "message",
            "user": "U3",
            "text": "second",
            "ts": "1767225600.000010",
            "subtype": "me_message",
        },
        {"type": "message", "user": "U1", "text": "first", "ts": "1767225600.000002"},
        {"type": "message", "user": "U1", "text": "", "ts": "1767225600.000003", "files": [{}]},
        {
            "type": "message",
            "subtype": "bot_message",
            "username": "ci/cd",
            "text": "green",
            "ts": "1767225700",
        },
    ],
    "D1/2026-01-01.json": [{"type": "message", "user": "U9", "text": "psst", "ts": "1767225600.1"}],
    "not-listed/2026-01-01.json": [{"type": "message", "user": "U1", "text": "no", "ts": "1"}],
}
TOLD = [
    Conversation("D1", [Turn("U9", "psst")]),
    Conversation(
        "general",
        [Turn("ada", "first"), Turn("U3", "second"), Turn("ci-cd", "green"), Turn("grace", "third")],
        "public",
    ),
]


def _folder(root: Path, export: dict[str, Any] = EXPORT) -> Path:
    for name, content in export.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return root


def _zip(folder: Path, target: Path, below: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*.json"):
            archive.write(path, path.relative_to(below))
    return target


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_are_read(tmp_path: Path, packed: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Plain or gzipped, with or without a byte order mark; empty conversations are left out."""
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(LINES.encode(), mtime=0) if packed else LINES.encode())
    found = read(path)
    assert (found.all, found.turns, found.left_out) == ([HELLO], 2, {})
    assert HELLO.speakers == ["ada", "grace"]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        '{"conversation": 1, "turns": [["ada"]]}',
        '{"conversation": 1, "turns": [["ada", 5]]}',
        "[" * 9999,
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """The error says which line, and what was expected."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"conversation": 1, "turns": []}}\n{line}\n')
    with pytest.raises(SourceError, match=r"a\.jsonl, line 2: expected"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b"\xff\xfe"),
        ("a.jsonl.gz", b"no gzip"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9]),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    """A binary file, an invalid gzip file, and a truncated one."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}: cannot be read"):
        read(tmp_path / name)


def test_a_slack_export_is_read(tmp_path: Path) -> None:
    """Messages in order of time, under their senders' names; system messages are counted."""
    found = read(_folder(tmp_path))
    assert found.all == TOLD
    assert found.left_out == {
        "events: channel_join": ["general 1767312000.000100"],
        "messages without text": ["general 1767225600.000003"],
        "files": ["general 1767225600.000003"],
        "folders that no list names": ["not-listed"],
        "names of users that were made distinct or contain other characters": ["U3"],
        "members who said nothing": ["D1 ada", "D1 grace"],
        "times: a message has the time of the demo": [
            "D1 1767225600.1",
            "general 1767225600.000002",
            "general 1767225600.000010",
            "general 1767225700",
            "general 1767312000.000200",
        ],
    }


def _export(message: dict[str, Any], **channel: Any) -> dict[str, Any]:
    """One message of a channel."""
    spoken = {"type": "message", "user": "U1", "text": "hi", "ts": "12.5"}
    return {
        "users.json": EXPORT["users.json"],
        "channels.json": [{"id": "C1", "name": "general", **channel}],
        "general/2026-01-01.json": [spoken | message],
    }


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"reactions": [{"name": "+1"}]}, "reactions"),
        ({"edited": {"user": "U1"}}, "that it was edited"),
        ({"files": [{}]}, "files"),
        ({"attachments": [{}]}, "attachments"),
        ({"thread_ts": "11.0"}, "that it replies in a thread"),
        ({"pinned_to": ["C1"]}, "that it was pinned"),
    ],
)
def test_what_a_message_loses_is_named_with_its_ts(
    tmp_path: Path, message: dict[str, Any], kind: str
) -> None:
    """The text is posted; what cannot be posted with it is counted by kind."""
    found = read(_folder(tmp_path, _export(message)))
    assert found.turns == 1
    assert found.left_out[kind] == ["general 12.5"]


def test_the_first_message_of_a_thread_is_no_reply(tmp_path: Path) -> None:
    """Slack gives such a message its own ts as its thread's."""
    assert (
        "that it replies in a thread" not in read(_folder(tmp_path, _export({"thread_ts": "12.5"}))).left_out
    )


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<@U2>: a &amp; b &lt;c&gt;", "@grace: a & b <c>"),
        ("<@U9> <@U1|ada>", "@U9 @ada"),
        ("<#C1> <#C1|general> <#C9>", "#general #general #C9"),
        ("<!here> <!subteam^S1|@team> <!date^1^{date}|today>", "@here @team today"),
        (
            "<https://x.example> <https://x.example/?a=1&amp;b=2|here>",
            "https://x.example here (https://x.example/?a=1&b=2)",
        ),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),
        ("&amp;lt; is not &lt;", "&lt; is not <"),
        ("1 &copy; 2", "1 &copy; 2"),
    ],
)
def test_slacks_markup_is_read_as_a_person_sees_it(tmp_path: Path, written: str, seen: str) -> None:
    """Names instead of ids, addresses without brackets, and the three entities that Slack writes."""
    (conversation,) = read(_folder(tmp_path, _export({"text": written}, topic={"value": written}))).all
    assert [turn.text for turn in conversation.turns] == [seen]
    assert conversation.topic == seen


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("channels.json", "public"),
        ("groups.json", "private"),
        ("mpims.json", "private"),
        ("dms.json", "private"),
    ],
)
def test_a_channel_is_as_private_as_it_was(tmp_path: Path, name: str, kind: str) -> None:
    """Public channels become public, all others private."""
    export = _export({})
    export[name] = [{"id": "general", "name": "general"}]
    if name != "channels.json":
        del export["channels.json"]
    (conversation,) = read(_folder(tmp_path, export)).all
    assert conversation.kind == kind


def test_what_a_channel_loses_is_named(tmp_path: Path) -> None:
    """Its purpose, that it is archived, members who never wrote."""
    export = _export({}, purpose={"value": "x"}, is_archived=True, members=["U1", "U2"])
    lost = read(_folder(tmp_path, export)).left_out
    assert lost["purposes of channels"] == lost["that a channel is archived"] == ["general"]
    assert lost["members who said nothing"] == ["general grace"]


@pytest.mark.parametrize("inside", [".", ".."])
def test_a_slack_export_is_read_from_a_zip_file(tmp_path: Path, inside: str) -> None:
    """As from the folder, whether or not the archive begins with a folder's name."""
    folder = _folder(tmp_path / "My export")
    found = read(_zip(folder, tmp_path / "export.zip", (folder / inside).resolve()))
    assert found.all == TOLD


def test_an_export_reaches_nothing_outside_of_itself(tmp_path: Path) -> None:
    """A channel's name with a path outside the folder finds nothing."""
    _folder(tmp_path / "outside", {"2026-01-01.json": [{"user": "U1", "text": "secret", "ts": "1"}]})
    assert read(_folder(tmp_path / "export")).all == TOLD


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("channels.json", []),
        ("channels.json", {"name": "general"}),
        ("general/2026-01-01.json", [{"text": "without a time"}]),
        ("general/2026-01-01.json", [{"text": "x", "ts": "soon"}]),
        ("general/2026-01-01.json", [{"text": "x", "ts": "NaN"}]),
    ],
)
def test_a_damaged_export_is_an_error(tmp_path: Path, name: str, content: Any) -> None:
    """It is an error, not an empty export."""
    kept = {} if name == "channels.json" else {"channels.json": EXPORT["channels.json"]}
    with pytest.raises(SourceError):
        read(_folder(tmp_path, kept | {name: content}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ada", "ada"),
        ("a/b\n", "a-b-"),
        ("", "nobody"),
        ("\ud800", "-"),
        ("a?b#c%d\\e", "a-b-c-d-e"),
        ("me", "me-"),
        ("ä" * 100, "ä" * 64),
    ],
)
def test_any_name_becomes_a_user_id(name: str, expected: str) -> None:
    """Slashes and control characters are replaced, and 128 bytes are the limit."""
    assert user_id(name) == expected


def test_the_sample_is_what_the_api_takes() -> None:
    """Six conversations of two or three people, all within the limits, in several scripts."""
    found = read(SAMPLE)
    assert len(found.all) == 6
    assert {len(each.speakers) for each in found.all} == {2, 3}
    assert all(0 < len(turn.text) <= MAX_TEXT for each in found.all for turn in each.turns)
    assert any(not turn.text.isascii() for each in found.all for turn in each.turns)
