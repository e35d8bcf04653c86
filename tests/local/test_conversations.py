"""Conversations are read from JSON lines and Slack exports, in order, and nothing is dropped in silence."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.conversations import Conversation, SourceError, Turn, read, user_id
from local.demo import SAMPLE
from shared.model import MAX_TEXT

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
    """Plain or gzipped, with or without a byte order mark; conversations without a word are left out."""
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    path.write_bytes(gzip.compress(LINES.encode()) if packed else LINES.encode())
    found = read(path)
    assert (found.all, found.turns, found.left_out) == ([HELLO], 2, Counter())
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
        ("a.jsonl.gz", gzip.compress(LINES.encode())[:-9]),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    """What is no text, no gzip file, or only the half of one."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}: cannot be read"):
        read(tmp_path / name)


def test_a_slack_export_is_read(tmp_path: Path) -> None:
    """Messages in order of time, under their senders' names; what nobody said is counted."""
    found = read(_folder(tmp_path))
    assert found.all == TOLD
    assert found.left_out == Counter({"channel_join": 1, "without text": 1})


@pytest.mark.parametrize("inside", [".", ".."])
def test_a_slack_export_is_read_from_a_zip_file(tmp_path: Path, inside: str) -> None:
    """As from the folder, whether or not the archive begins with a folder's name."""
    folder = _folder(tmp_path / "My export")
    found = read(_zip(folder, tmp_path / "export.zip", (folder / inside).resolve()))
    assert found.all == TOLD


def test_an_export_reaches_nothing_outside_of_itself(tmp_path: Path) -> None:
    """A channel's name that leads out of the folder finds nothing."""
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
    """It is not taken for an empty one."""
    kept = {} if name == "channels.json" else {"channels.json": EXPORT["channels.json"]}
    with pytest.raises(SourceError):
        read(_folder(tmp_path, kept | {name: content}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ada", "ada"), ("a/b\n", "a-b-"), ("", "nobody"), ("\ud800", "-"), ("ä" * 100, "ä" * 64)],
)
def test_any_name_becomes_a_user_id(name: str, expected: str) -> None:
    """Slashes and control characters are replaced, and 128 bytes are the limit."""
    assert user_id(name) == expected


def test_the_sample_is_what_the_api_takes() -> None:
    """Six conversations of two or three people, all within the limits, in more than one script."""
    found = read(SAMPLE)
    assert len(found.all) == 6
    assert {len(each.speakers) for each in found.all} == {2, 3}
    assert all(0 < len(turn.text) <= MAX_TEXT for each in found.all for turn in each.turns)
    assert any(not turn.text.isascii() for each in found.all for turn in each.turns)
