"""Frames from clients (``docs/realtime.md``), parsed strictly; ``asyncapi.json`` has their schemas."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.domain import keys
from shared.domain.errors import InvalidFrameError
from shared.domain.realtime import MAX_WATCHES_A_FRAME, VERSION

MAX_CHARACTERS: Final = 16_384
"""Of a frame: several times as many as the longest valid one has."""
REF_PATTERN: Final = r"[\x21-\x7e]{1,32}"
"""What a client may choose as ``ref``, which answers repeat."""
_REF: Final = re.compile(REF_PATTERN)


class FrameType(StrEnum):
    """The types of frames that clients send."""

    HELLO = "hello"
    WATCH = "watch"
    UNWATCH = "unwatch"
    TYPING = "typing"
    PING = "ping"


_LOG: Final = frozenset({"channel_id", "thread_id"})
_COMMON: Final = frozenset({"v", "type", "ref"})
_FIELDS: Final[dict[FrameType, frozenset[str]]] = {
    FrameType.HELLO: _COMMON,
    FrameType.WATCH: _COMMON | {"channels"},
    FrameType.UNWATCH: _COMMON | {"channels"},
    FrameType.TYPING: _COMMON | _LOG,
    FrameType.PING: _COMMON,
}


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A valid frame."""

    type: FrameType
    logs: dict[str, bool]
    """The logs that it names by their ids, in order, each with ``live``; exactly one in ``typing``."""
    ref: str | None = None


def parse(text: str) -> ClientFrame:
    """The frame in a WebSocket message.

    Raises:
        InvalidFrameError: it is none; the detail says why, and quotes nothing of it.
    """
    given = _object(text)
    if isinstance(given.get("v"), bool) or given.get("v") != VERSION:
        raise InvalidFrameError(f"`v` must be {VERSION}.")
    kind = _type(given.get("type"))
    _require_known(given, _FIELDS[kind], "The frame")
    if "ref" in given and _ref(given) is None:
        raise InvalidFrameError("`ref` must be 1 to 32 visible ASCII characters.")
    logs: dict[str, bool] = {}
    if kind is FrameType.TYPING:
        logs = {_log_id(given, "The frame"): True}
    elif "channels" in _FIELDS[kind]:
        logs = _logs(given.get("channels"), with_live=kind is FrameType.WATCH)
    return ClientFrame(kind, logs, _ref(given))


def ref_of(text: str) -> str | None:
    """The ``ref`` of a frame that may be invalid; None if it has none that could be repeated."""
    try:
        return _ref(_object(text))
    except InvalidFrameError:
        return None


def _object(text: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise InvalidFrameError(f"A frame has at most {MAX_CHARACTERS} characters.")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidFrameError("The message is not JSON.") from None
    if not isinstance(given, dict):
        raise InvalidFrameError("A frame is a JSON object.")
    return given


def _type(given: Any) -> FrameType:  # noqa: ANN401 - any JSON
    try:
        return FrameType(given)
    except ValueError:
        raise InvalidFrameError(f"`type` must be one of {', '.join(FrameType)}.") from None


def _ref(given: dict[str, Any]) -> str | None:
    found = given.get("ref")
    return found if isinstance(found, str) and _REF.fullmatch(found) else None


def _require_known(given: dict[str, Any], known: frozenset[str], whose: str) -> None:
    if not given.keys() <= known:
        raise InvalidFrameError(f"{whose} has a field other than {', '.join(sorted(known))}.")


def _logs(given: Any, *, with_live: bool) -> dict[str, bool]:  # noqa: ANN401 - any JSON
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_WATCHES_A_FRAME:
        raise InvalidFrameError(f"`channels` must be a list of 1 to {MAX_WATCHES_A_FRAME} logs.")
    logs: dict[str, bool] = {}
    for index, each in enumerate(given):
        where = f"channels[{index}]"
        if not isinstance(each, dict):
            raise InvalidFrameError(f"{where} must be an object.")
        _require_known(each, _LOG | {"live"} if with_live else _LOG, where)
        log_id, is_live = _log_id(each, where), each.get("live", False)
        if not isinstance(is_live, bool):
            raise InvalidFrameError(f"{where}: `live` must be true or false.")
        if log_id in logs:
            raise InvalidFrameError(f"{where} names a log that an earlier one names.")
        logs[log_id] = is_live
    return logs


def _log_id(given: dict[str, Any], where: str) -> str:
    channel_id = given.get("channel_id")
    if not isinstance(channel_id, str) or not keys.is_channel_id(channel_id):
        raise InvalidFrameError(f"{where}: `channel_id` must be a channel's id.")
    if "thread_id" not in given:
        return channel_id
    thread_id = given["thread_id"]
    if not isinstance(thread_id, str) or not keys.is_thread_of(channel_id, thread_id):
        raise InvalidFrameError(f"{where}: `thread_id` must be the id of a message of the channel.")
    return thread_id
