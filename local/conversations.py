"""Conversations from files: JSON lines, or a Slack export as a folder or a zip file.

Everything is read in order and as it stands; what is no message of somebody's is counted, not silently dropped.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.keys import MAX_USER_ID_BYTES, ME, is_user_id
from shared.text import UNFIT_FOR_NAMES, beginning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.resources.abc import Traversable

SLACK_LISTS: Final = ("channels.json", "groups.json", "mpims.json", "dms.json")
_FOLDER_OF: Final = {"dms.json": "id"}
_SAID: Final = frozenset({"", "bot_message", "file_comment", "file_share", "me_message", "thread_broadcast"})
"""Slack's subtypes that somebody said; the others tell of joins, topics and the like."""
_NOT_IN_IDS: Final = re.compile(rf"[{UNFIT_FOR_NAMES}/?#%\\\ud800-\udfff]+")
_BAD_FILES: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError, RuntimeError)


class SourceError(ValueError):
    """The conversations cannot be read; the text says where."""


class Turn(NamedTuple):
    """Something that somebody said."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, in order."""

    name: str
    turns: list[Turn]

    @property
    def speakers(self) -> list[str]:
        """Everybody who said something, who spoke first is first."""
        return list(dict.fromkeys(turn.speaker for turn in self.turns))


@dataclass(frozen=True, slots=True)
class Conversations:
    """What a source holds, and how many of its records were left out, by reason."""

    all: list[Conversation]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def turns(self) -> int:
        """How many messages there are."""
        return sum(len(each.turns) for each in self.all)


def read(source: Path) -> Conversations:
    """Read a `.jsonl` or `.jsonl.gz` file, or a Slack export as a folder or a zip file.

    Raises:
        SourceError: it is none of these, or damaged.
    """
    try:
        with ExitStack() as opened:
            if source.is_dir():
                return _slack(source)
            if zipfile.is_zipfile(source):
                return _slack(_top(zipfile.Path(opened.enter_context(zipfile.ZipFile(source)))))
            return Conversations([each for each in _json_lines(source) if each.turns])
    except _BAD_FILES as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise SourceError(f"{source}: cannot be read ({reason})") from error


def _json_lines(source: Path) -> Iterator[Conversation]:
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _conversation(line, f"{source}, line {number}")


def _conversation(line: str, place: str) -> Conversation:
    try:
        document = json.loads(line)
        turns = [_turn(speaker, text) for speaker, text in document["turns"]]
        return Conversation(str(document["conversation"]), turns)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        expected = '{"conversation": id, "turns": [[speaker, text], ...]}'
        raise SourceError(f"{place}: expected {expected}") from error


def _turn(speaker: Any, text: Any) -> Turn:  # noqa: ANN401  # any JSON
    if not isinstance(speaker, str) or not isinstance(text, str):
        raise TypeError
    return Turn(user_id(speaker), text)


def user_id(name: str) -> str:
    """The name as a user id may be written: without what the API refuses in one, at most 128 bytes."""
    cleaned = _NOT_IN_IDS.sub("-", name).strip()
    cut = beginning(cleaned, len(cleaned), MAX_USER_ID_BYTES)
    return cut if is_user_id(cut) and cut != ME else "nobody"


def _top(folder: Traversable) -> Traversable:
    """The folder itself, or the only one inside of it: archives of a folder begin with its name."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(("__MACOSX", "."))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _slack(folder: Traversable) -> Conversations:
    names = _user_names(folder)
    listed = {
        str(each[_FOLDER_OF.get(name, "name")])
        for name in SLACK_LISTS
        for each in _records(folder.joinpath(name), _FOLDER_OF.get(name, "name"))
    }
    if not listed:
        raise SourceError(f"{folder}: neither JSON lines nor a Slack export: it lists no channel")
    left_out: Counter[str] = Counter()
    # Folders are looked for among what is there: a list cannot name one outside of the export.
    channels = sorted((each for each in folder.iterdir() if each.name in listed), key=lambda each: each.name)
    found = [Conversation(each.name, _said(each, names, left_out)) for each in channels if each.is_dir()]
    return Conversations([each for each in found if each.turns], left_out)


def _user_names(folder: Traversable) -> dict[str, str]:
    """User ids by Slack's ids: names, told apart where two people have the same."""
    names: dict[str, str] = {}
    for user in _records(folder.joinpath("users.json"), "id"):
        name = user_id(str(user.get("name") or user["id"]))
        names[str(user["id"])] = name if name not in names.values() else user_id(str(user["id"]))
    return names


def _said(channel: Traversable, names: dict[str, str], left_out: Counter[str]) -> list[Turn]:
    days = [each for each in channel.iterdir() if each.name.endswith(".json")]
    records = [record for day in days for record in _records(day, "ts")]
    return list(_turns(sorted(records, key=_time), names, left_out))


def _turns(
    records: Iterable[dict[str, Any]], names: dict[str, str], left_out: Counter[str]
) -> Iterator[Turn]:
    for record in records:
        subtype = str(record.get("subtype") or "")
        if record.get("type", "message") != "message" or subtype not in _SAID:
            left_out[subtype or str(record["type"])] += 1
        elif not record.get("text"):
            left_out["without text"] += 1
        else:
            speaker = record.get("user") or record.get("username") or record.get("bot_id") or "nobody"
            yield Turn(names.get(str(speaker), user_id(str(speaker))), str(record["text"]))


def _time(record: dict[str, Any]) -> Decimal:
    try:
        seconds = Decimal(str(record["ts"]))
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite():
        raise SourceError(f"a message's ts is {record['ts']!r}, expected seconds")
    return seconds


def _records(file: Traversable, needed: str) -> list[dict[str, Any]]:
    """The objects of a file's array; none where there is no such file.

    Raises:
        SourceError: it holds anything else, or an object lacks the field.
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
