"""The realtime protocol's AsyncAPI 3 document: ``python -m tools.asyncapi [--check]``.

It says of each frame in ``docs/realtime.md`` what its fields are. Messages and changes are those of the REST API.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from shared.domain.errors import (
    BudgieError,
    CannotSendError,
    ChannelArchivedError,
    ChannelNotFoundError,
    ConnectionEndedError,
    ContentionError,
    InvalidFrameError,
    MalformedRequestError,
    MessageNotFoundError,
    MisconfiguredError,
    NotAMemberError,
    NotWatchedError,
    StoreThrottledError,
    StoreUnavailableError,
    TooManyWatchesError,
    UserBlockedError,
)
from shared.domain.frames import REF_PATTERN
from shared.domain.news import ChannelEvent
from shared.domain.realtime import MAX_FRAME_BYTES, MAX_PRESENT, MAX_WATCHES_A_FRAME, SUBPROTOCOL, VERSION
from shared.use_cases.receive_frame import LIMITS
from shared.web import response_models
from tools.generated import run
from tools.openapi import LICENSE

Schema = dict[str, Any]
ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "asyncapi.json"
DESCRIPTION: Final = """What happens in channels, pushed over a WebSocket. It adds speed and never carries correctness:
frames may be lost, doubled, late and out of order. docs/realtime.md has the rule by which a client shows exactly the
log all the same. Each frame is a JSON object in one text message. Clients ignore types and fields that they do not
know; an unknown field of a client's frame is refused."""
CHANNEL_ID: Final = response_models.CHANNEL["id"]
LOG: Final = {"channel_id": CHANNEL_ID}
THREAD: Final = response_models.THREAD_IDS
REFUSALS: Final = (
    ChannelNotFoundError,
    NotAMemberError,
    MessageNotFoundError,
    ChannelArchivedError,
    ContentionError,
)
"""Why a log is not watched."""
ERRORS: Final = (
    InvalidFrameError,
    MalformedRequestError,
    TooManyWatchesError,
    NotWatchedError,
    ConnectionEndedError,
    *(ChannelNotFoundError, NotAMemberError, ChannelArchivedError, CannotSendError, UserBlockedError),
    *(ContentionError, StoreUnavailableError, StoreThrottledError, MisconfiguredError, BudgieError),
)
"""The codes of ``error``."""
ANSWERS: Final = {
    "hello": ("hello",),
    "watch": ("watching",),
    "unwatch": ("unwatched",),
    "typing": (),
    "ping": ("pong", "reconnect"),
}
"""The frames that answer those of clients, each of which ``error`` may answer, too."""


# --- schemas ---


def _object(required: Schema, optional: Schema | None = None, *, is_closed: bool = False) -> Schema:
    made: Schema = {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
    }
    return made | {"additionalProperties": False} if is_closed else made


def _list(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items} | limits


def _number(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _time(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "description": description}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _codes(errors: tuple[type[BudgieError], ...]) -> Schema:
    return {"type": "string", "enum": [each.code for each in errors]}


CHANNEL: Final = {"channel_id": _ref("ChannelId")}
IN_THREAD: Final = {"thread_id": _ref("ThreadId")}
USER: Final = {"type": "string", "minLength": 1, "description": "A user's id."}
SEQ: Final = _number("A position in the log.")
REV: Final = _number("The number of a change in the log.")
REACHED: Final = {
    "seq": _number("The last position that was given out; 0 if there is none."),
    "rev": _number("The number of the last change; 0 if there is none."),
}
HINT: Final = {
    "seq": _number("A position that the log has reached; 0 says nothing."),
    "rev": _number("The number of a change that the log has reached; 0 says nothing."),
}
PRESENT: Final = _object(
    {"count": _number("How many users watch it.")},
    {"users": _list(USER, maxItems=MAX_PRESENT) | {"description": "Absent if there are more, or too long."}},
)


def _run(kind: str, number: str) -> Schema:
    description = f"All {kind} from the first number to the last, in order."
    made = {
        f"first_{number}": SEQ if number == "seq" else REV,
        f"last_{number}": SEQ if number == "seq" else REV,
    }
    body = _ref("Message" if kind == "messages" else "Change")
    return _object(made | {kind: _list(body)}) | {"description": description}


def _client(kind: str, fields: Schema | None = None, optional: Schema | None = None) -> Schema:
    head = {"v": {"const": VERSION}, "type": {"const": kind}}
    ref = {"ref": {"type": "string", "pattern": f"^{REF_PATTERN}$", "description": "The answer repeats it."}}
    return _object(head | (fields or {}), ref | (optional or {}), is_closed=True)


def _server(kind: str, fields: Schema | None = None, optional: Schema | None = None) -> Schema:
    return _object({"v": {"const": VERSION}, "type": {"const": kind}} | (fields or {}), optional)


def _answer(kind: str, fields: Schema | None = None, optional: Schema | None = None) -> Schema:
    ref = {"ref": {"type": "string", "description": "That of the frame which this one answers."}}
    return _server(kind, fields, ref | (optional or {}))


_LIVE: Final = {
    "live": {
        "type": "boolean",
        "default": False,
        "description": "Somebody looks at it: `typing`, `presence` and `read` are sent, too.",
    }
}
_MANY: Final = {"minItems": 1, "maxItems": MAX_WATCHES_A_FRAME}
_LOGS: Final = _list(_object(CHANNEL, IN_THREAD))

FROM_CLIENTS: Final[dict[str, Schema]] = {
    "hello": _client("hello"),
    "watch": _client(
        "watch", {"channels": _list(_object(CHANNEL, IN_THREAD | _LIVE, is_closed=True), **_MANY)}
    ),
    "unwatch": _client("unwatch", {"channels": _list(_object(CHANNEL, IN_THREAD, is_closed=True), **_MANY)}),
    "typing": _client("typing", CHANNEL, IN_THREAD),
    "ping": _client("ping"),
}
"""The frames of clients, by type."""

TO_CLIENTS: Final[dict[str, Schema]] = {
    "hello": _answer(
        "hello",
        {
            "time": _time("The server's time."),
            "connection_id": {"type": "string"},
            "ends_at": _time("When the connection ends."),
            "limits": _object(
                {name: _number("") | {"description": f"As now: {LIMITS[name]}."} for name in LIMITS}
            ),
        },
    ),
    "watching": _answer(
        "watching",
        {
            "channels": _list(_object(CHANNEL | REACHED, IN_THREAD | {"present": PRESENT})),
            "refused": _list(_object(CHANNEL | {"code": _codes(REFUSALS)}, IN_THREAD)),
        },
    ),
    "unwatched": _answer("unwatched", {"channels": _LOGS}),
    "pong": _answer(
        "pong",
        {
            "time": _time("The server's time."),
            "channels": _list(_object(CHANNEL | REACHED, IN_THREAD)),
            "ended": _LOGS | {"description": "What is not watched any more."},
        },
    ),
    "reconnect": _answer("reconnect", {"within_seconds": _number("Until the connection ends.")}),
    "error": _answer("error", {"code": _codes(ERRORS), "detail": {"type": "string"}}),
    "news": _server(
        "news",
        {
            "channels": _list(
                {
                    "oneOf": [
                        _object(
                            CHANNEL
                            | {
                                "messages": _list(_run("messages", "seq")),
                                "changes": _list(_run("changes", "rev")),
                            },
                            IN_THREAD,
                        ),
                        _object(CHANNEL | HINT, IN_THREAD)
                        | {"description": "A hint: what to fetch by REST."},
                    ]
                },
                minItems=1,
            )
        },
    ),
    "channel": _server(
        "channel",
        CHANNEL | {"event": {"type": "string", "enum": [each.value for each in ChannelEvent]}},
        {"version": _number("The channel's version, with `changed`.")},
    ),
    "mention": _server("mention", CHANNEL | {"seq": SEQ}, IN_THREAD),
    "typing": _server("typing", CHANNEL | {"user_id": USER}, IN_THREAD),
    "presence": _server(
        "presence", CHANNEL | {"count": _number("How many users watch it."), "users": _list(USER)}, IN_THREAD
    ),
    "read": _server("read", CHANNEL | {"user_id": USER, "last_read_seq": SEQ}),
}
"""The frames to clients, by type."""

SUMMARIES: Final = {
    ("client", "hello"): "Asks for the limits and the time.",
    ("client", "watch"): "Begins to watch channels and threads.",
    ("client", "unwatch"): "Ends watches.",
    ("client", "typing"): "Tells the others who look at a log that the user types.",
    ("client", "ping"): "Keeps the connection open, and asks for the last numbers of all watched logs.",
    ("server", "hello"): "The limits and the time.",
    ("server", "watching"): "What is watched from now on, with its last numbers.",
    ("server", "unwatched"): "What is not watched any more.",
    ("server", "pong"): "The last numbers of all watched logs.",
    ("server", "reconnect"): "The connection ends soon: get a ticket and connect again.",
    ("server", "error"): "The frame had no effect.",
    ("server", "news"): "New messages and changes of watched logs.",
    ("server", "channel"): "A channel's settings, or the user's membership, changed.",
    ("server", "mention"): "A message names the user.",
    ("server", "typing"): "A user types.",
    ("server", "presence"): "Who watches a log.",
    ("server", "read"): "A member has read up to a position.",
}


# --- examples ---

_MESSAGE: Final = response_models.MESSAGE
EXAMPLES: Final[dict[tuple[str, str], list[dict[str, Any]]]] = {
    ("client", "hello"): [{"ref": "1"}],
    ("client", "watch"): [{"channels": [LOG | {"live": True}, THREAD], "ref": "2"}],
    ("client", "unwatch"): [{"channels": [LOG], "ref": "3"}],
    ("client", "typing"): [LOG, THREAD],
    ("client", "ping"): [{}],
    ("server", "hello"): [
        {
            "time": "2026-11-23T18:44:24.123Z",
            "connection_id": "Iy3rGf9doAMCJQw=",
            "ends_at": "2026-11-23T20:44:24.000Z",
            "limits": LIMITS,
            "ref": "1",
        }
    ],
    ("server", "watching"): [
        {
            "channels": [LOG | {"seq": 39, "rev": 7, "present": {"count": 2, "users": ["ada", "grace"]}}],
            "refused": [{"channel_id": "0000000000000000", "code": "channel_not_found"}],
            "ref": "2",
        }
    ],
    ("server", "unwatched"): [{"channels": [LOG], "ref": "3"}],
    ("server", "pong"): [
        {"time": "2026-11-23T18:49:24.123Z", "channels": [LOG | {"seq": 39, "rev": 7}], "ended": []}
    ],
    ("server", "reconnect"): [{"within_seconds": 540}],
    ("server", "error"): [{"code": InvalidFrameError.code, "detail": InvalidFrameError.detail}],
    ("server", "news"): [
        {
            "channels": [
                LOG
                | {
                    "messages": [{"first_seq": 39, "last_seq": 39, "messages": [_MESSAGE]}],
                    "changes": [],
                }
            ]
        },
        {"channels": [THREAD | {"seq": 812, "rev": 0}]},
    ],
    ("server", "channel"): [LOG | {"event": "changed", "version": 2}, LOG | {"event": "removed"}],
    ("server", "mention"): [LOG | {"seq": 39}],
    ("server", "typing"): [LOG | {"user_id": "grace"}],
    ("server", "presence"): [LOG | {"count": 2, "users": ["ada", "grace"]}],
    ("server", "read"): [LOG | {"user_id": "grace", "last_read_seq": 39}],
}


# --- the document ---


def document() -> dict[str, Any]:
    """The whole document."""
    frames = {("client", kind): each for kind, each in FROM_CLIENTS.items()}
    frames |= {("server", kind): each for kind, each in TO_CLIENTS.items()}
    messages = {_name(*key): _message(key, schema) for key, schema in frames.items()}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Budgie realtime",
            "version": str(VERSION),
            "description": DESCRIPTION,
            "tags": [{"name": "realtime"}],
            "license": {"name": LICENSE["name"], "url": "https://spdx.org/licenses/MIT.html"},
        },
        "defaultContentType": "application/json",
        "servers": {"deployment": _server_object()},
        "channels": {"connection": _channel(messages)},
        "operations": _operations(),
        "components": {"messages": messages, "schemas": _schemas(), "securitySchemes": {"ticket": _ticket()}},
    }


def _name(side: str, kind: str) -> str:
    """``clientWatch``."""
    return side + kind.capitalize()


def _message(key: tuple[str, str], schema: Schema) -> dict[str, Any]:
    side, kind = key
    shown = [{"v": VERSION, "type": kind} | each for each in EXAMPLES[key]]
    return {
        "name": kind,
        "title": f"{kind}, from the {side}",
        "summary": SUMMARIES[key],
        "payload": schema,
        "examples": [{"payload": each} for each in shown],
    }


def _server_object() -> dict[str, Any]:
    return {
        "host": "{api}.execute-api.{region}.amazonaws.com",
        "pathname": "/{stage}",
        "protocol": "wss",
        "description": "A deployment's address; the response with the ticket has it as `url`.",
        "variables": {
            "api": {"description": "The WebSocket API's id."},
            "region": {"description": "The AWS region."},
            "stage": {"description": "The API's stage.", "default": "v1"},
        },
        "security": [{"$ref": "#/components/securitySchemes/ticket"}],
    }


def _ticket() -> dict[str, Any]:
    return {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": f"`{SUBPROTOCOL}` and a ticket of `POST /v1/realtime/tickets`, separated by a comma. "
        "A ticket opens one connection within 30 seconds.",
    }


def _channel(messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": None,
        "title": "A connection",
        "description": f"One WebSocket connection. A frame has at most {MAX_FRAME_BYTES} bytes.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operations() -> dict[str, Any]:
    channel = {"$ref": "#/channels/connection"}

    def of(side: str, *kinds: str) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/connection/messages/{_name(side, kind)}"} for kind in kinds]

    made: dict[str, Any] = {}
    for kind, answers in ANSWERS.items():
        made[f"receive{kind.capitalize()}"] = {
            "action": "receive",
            "channel": channel,
            "description": SUMMARIES["client", kind],
            "messages": of("client", kind),
            "reply": {"channel": channel, "messages": of("server", *answers, "error")},
        }
    answering = {kind for answers in ANSWERS.values() for kind in answers} | {"error"}
    for kind in TO_CLIENTS:
        if kind not in answering:
            made[f"send{kind.capitalize()}"] = {
                "action": "send",
                "channel": channel,
                "description": SUMMARIES["server", kind],
                "messages": of("server", kind),
            }
    return made


def _schemas() -> dict[str, Schema]:
    change = response_models.Change.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "ChannelId": {
            "type": "string",
            "pattern": "^[0-9a-v]{16,26}$",
            "description": "A channel's id.",
        },
        "ThreadId": {
            "type": "string",
            "pattern": "^[0-9a-v]{16,26}-[0-9a-v]{8}$",
            "description": "A thread's id, which is that of its root message. Absent for a channel.",
        },
        **change.pop("$defs"),
        "Change": change,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the document, or with ``--check`` reports whether it is up to date."""
    return run(DOCUMENT, lambda _: written(), "asyncapi", arguments)


def written() -> str:
    """The document's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
