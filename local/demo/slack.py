"""A Slack export as conversations: a folder with lists of channels and users, and a folder of days for each channel.

A message becomes its text, in order of time. Anything else about it in the export is reported as left out, by kind,
with its channel and `ts`: the demo posts only texts.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from local.demo.conversations import (
    Conversation,
    Conversations,
    Losses,
    SourceError,
    Turn,
    user_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from local.demo.conversations import Kind

LISTS: Final[Mapping[str, Kind]] = {
    "channels.json": "public",
    "groups.json": "private",
    "mpims.json": "private",
    "dms.json": "private",
}
"""The lists of channels, and their kinds."""
_FOLDER_OF: Final = {"dms.json": "id"}
_SAID: Final = frozenset({"", "bot_message", "file_comment", "file_share", "me_message", "thread_broadcast"})
"""Subtypes of messages that people wrote; the others are joins, topics and the like."""
_MARKUP: Final = re.compile(r"<([^<>\n]+)>")
_LOST_WITH: Final[Mapping[str, str]] = {
    "files": "files",
    "attachments": "attachments",
    "reactions": "reactions",
    "edited": "that it was edited",
    "pinned_to": "that it was pinned",
}
"""Fields of a message that are not posted, and their names in the report."""


class _Listed(NamedTuple):
    folder: str
    kind: Kind
    record: dict[str, Any]


def read_export(folder: Traversable) -> Conversations:
    """Read an export.

    Raises:
        SourceError: it is not one, or damaged.
    """
    return _Export(_top(folder)).conversations()


class _Export:
    """An export while it is read."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        self._lost: Losses = defaultdict(list)
        self._users = _user_names(folder)
        for user in _records(folder.joinpath("users.json"), "id"):
            if user.get("name") and self._users[str(user["id"])] != user["name"]:
                self._lost["names of users that were made distinct or contain other characters"].append(
                    str(user["id"])
                )
        self._listed = {each.folder: each for name in LISTS for each in _listed(folder, name)}
        self._channels = {str(each.record.get("id")): name for name, each in self._listed.items()}

    def conversations(self) -> Conversations:
        if not self._listed:
            raise SourceError(
                f"{self._folder}: neither JSON lines nor a Slack export, as it has no list of channels"
            )
        # Folders are searched in the listing, so that a list cannot name one outside the export.
        folders = sorted(
            (each for each in self._folder.iterdir() if each.is_dir()), key=lambda each: each.name
        )
        for each in folders:
            if each.name not in self._listed and not each.name.startswith(("__MACOSX", ".")):
                self._lost["folders that no list names"].append(each.name)
        found = [self._conversation(each) for each in folders if each.name in self._listed]
        return Conversations([each for each in found if each.turns], dict(self._lost))

    def _conversation(self, folder: Traversable) -> Conversation:
        listed = self._listed[folder.name]
        topic = listed.record.get("topic")
        told = str(topic.get("value") or "") if isinstance(topic, dict) else ""
        purpose = listed.record.get("purpose")
        if isinstance(purpose, dict) and purpose.get("value"):
            self._lost["purposes of channels"].append(folder.name)
        if listed.record.get("is_archived"):
            self._lost["that a channel is archived"].append(folder.name)
        turns = list(self._turns(folder))
        if turns:
            spoke = {turn.speaker for turn in turns}
            members = {self._user(str(each)) for each in listed.record.get("members") or ()}
            self._lose(
                "members who said nothing", [f"{folder.name} {each}" for each in sorted(members - spoke)]
            )
            self._lose(
                "times: a message has the time of the demo", [f"{folder.name} {turn.ts}" for turn in turns]
            )
        return Conversation(folder.name, turns, listed.kind, self._rendered(told))

    def _turns(self, folder: Traversable) -> Iterator[Turn]:
        days = [each for each in folder.iterdir() if each.name.endswith(".json")]
        for record in sorted((record for day in days for record in _records(day, "ts")), key=_time):
            place = f"{folder.name} {record['ts']}"
            subtype = str(record.get("subtype") or "")
            if record.get("type", "message") != "message" or subtype not in _SAID:
                self._lost[f"events: {subtype or record['type']}"].append(place)
                continue
            for field, name in _LOST_WITH.items():
                if record.get(field):
                    self._lost[name].append(place)
            if str(record.get("thread_ts") or record["ts"]) != str(record["ts"]):
                self._lost["that it replies in a thread"].append(place)
            if not record.get("text"):
                self._lost["messages without text"].append(place)
                continue
            speaker = record.get("user") or record.get("username") or record.get("bot_id") or "nobody"
            yield Turn(self._user(str(speaker)), self._rendered(str(record["text"])), str(record["ts"]))

    def _lose(self, kind: str, places: list[str]) -> None:
        if places:
            self._lost[kind] += places

    def _user(self, slack_id: str) -> str:
        return self._users.get(slack_id, user_id(slack_id))

    def _rendered(self, text: str) -> str:
        """Slack's markup as displayed: names instead of ids, addresses without brackets, no entities."""
        return unescape_once(_MARKUP.sub(lambda found: self._reference(found[1]), text))

    def _reference(self, inside: str) -> str:
        target, _, label = inside.partition("|")
        match target[:1]:
            case "@":
                return f"@{label.removeprefix('@') or self._user(target[1:])}"
            case "#":
                return f"#{label.removeprefix('#') or self._channels.get(target[1:], target[1:])}"
            case "!":
                # <!here>, <!subteam^S1|@team>, <!date^1392734382^{date}|February 18th>
                return label or f"@{target[1:].partition('^')[0]}"
        address = target.removeprefix("mailto:").removeprefix("tel:")
        return address if label in {"", address} else f"{label} ({address})"


def unescape_once(text: str) -> str:
    """Slack escapes three characters, and no others: `&amp;lt;` is the text `&lt;`."""
    return re.sub(r"&(?:amp|lt|gt);", lambda entity: unescape(entity[0]), text)


def _top(folder: Traversable) -> Traversable:
    """The folder itself, or its only folder: archives of a folder begin with its name."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(("__MACOSX", "."))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _listed(folder: Traversable, name: str) -> Iterator[_Listed]:
    key = _FOLDER_OF.get(name, "name")
    for record in _records(folder.joinpath(name), key):
        yield _Listed(str(record[key]), LISTS[name], record)


def _user_names(folder: Traversable) -> dict[str, str]:
    """User ids by Slack's ids: names, made distinct if two people have the same."""
    names: dict[str, str] = {}
    for user in _records(folder.joinpath("users.json"), "id"):
        name = user_id(str(user.get("name") or user["id"]))
        names[str(user["id"])] = name if name not in names.values() else user_id(str(user["id"]))
    return names


def _time(record: dict[str, Any]) -> Decimal:
    try:
        seconds = Decimal(str(record["ts"]))
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite():
        raise SourceError(f"a message's ts is {record['ts']!r}, expected seconds")
    return seconds


def _records(file: Traversable, needed: str) -> list[dict[str, Any]]:
    """The objects of a file's array; none if there is no such file.

    Raises:
        SourceError: it contains anything else, or an object lacks the field.
    """
    if not file.is_file():
        return []
    try:
        records = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: no JSON") from error
    if not isinstance(records, list) or not all(
        isinstance(each, dict) and needed in each for each in records
    ):
        raise SourceError(f"{file}: expected an array of objects with {needed!r}")
    return records
