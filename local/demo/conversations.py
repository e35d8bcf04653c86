"""Conversations from files: JSON lines, or a Slack export as a folder or a zip file.

Everything is read in order. What cannot be posted unchanged is reported, never silently dropped.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from shared.domain.keys import MAX_USER_ID_BYTES, ME, is_user_id
from shared.domain.text import UNFIT_FOR_NAMES, beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_IN_IDS: Final = re.compile(rf"[{UNFIT_FOR_NAMES}/?#%\\\ud800-\udfff]+")
_BAD_FILES: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError, RuntimeError)


class SourceError(ValueError):
    """The conversations cannot be read; the text says where."""


Kind: TypeAlias = Literal["public", "private"]
Losses: TypeAlias = dict[str, list[str]]
"""What is not posted, or not unchanged: places in the source, by kind."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A message; `ts` is its place in the source, if it has one."""

    speaker: str
    text: str
    ts: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A channel's messages in order, with its kind and topic."""

    name: str
    turns: list[Turn]
    kind: Kind = "private"
    topic: str = ""

    @property
    def speakers(self) -> list[str]:
        """All speakers, in the order of their first messages."""
        return list(dict.fromkeys(turn.speaker for turn in self.turns))


@dataclass(frozen=True, slots=True)
class Conversations:
    """What a source contains, and what of it is left out."""

    all: list[Conversation]
    left_out: Losses = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """The number of messages."""
        return sum(len(each.turns) for each in self.all)


def read(source: Path) -> Conversations:
    """Read a `.jsonl` or `.jsonl.gz` file, or a Slack export as a folder or a zip file.

    Raises:
        SourceError: it is none of these, or damaged.
    """
    from local.demo.slack import read_export

    try:
        with ExitStack() as opened:
            if source.is_dir():
                return read_export(source)
            if zipfile.is_zipfile(source):
                return read_export(zipfile.Path(opened.enter_context(zipfile.ZipFile(source))))
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
    """The name as a user id: without characters that the API refuses, at most 128 bytes, not `me`."""
    cleaned = _NOT_IN_IDS.sub("-", name).strip()
    cut = beginning(cleaned, len(cleaned), MAX_USER_ID_BYTES)
    if cut == ME:
        return f"{ME}-"
    return cut if is_user_id(cut) else "nobody"
