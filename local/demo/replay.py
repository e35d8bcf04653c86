"""Posts conversations through the API, each speaker as a user, reads them back, and reports differences."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from shared.domain.model import MAX_NAME, MAX_NAME_BYTES, MAX_TOPIC, MAX_TOPIC_BYTES
from shared.domain.text import UNFIT_FOR_NAMES, beginning, is_visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.demo.client import Response
    from local.demo.conversations import Conversation, Turn

READER: Final = "demo-reader"
"""The member who reads everything back."""
REFUSALS: Final = frozenset({400, 413, 422})
"""Statuses that mean that the text itself is refused."""
UNDISTURBED_CALLS: Final = 3
"""DynamoDB calls of an undisturbed post with a key: read the channel state, reserve a position, commit."""
PAGE: Final = 100
FAULTS: Final = ("lost", "doubled", "out of order", "changed", "unknown", "gaps between pages")

_MEMBERS_AT_CREATION: Final = 50
_NOT_IN_NAMES: Final = re.compile(rf"[{UNFIT_FOR_NAMES}\ud800-\udfff]+")
_CALLS: Final = re.compile(r"\bcalls=(\d+)")


class ApiError(RuntimeError):
    """The API returned an unexpected response; the text contains it."""


class Api(Protocol):
    """What conversations are posted to; `local.demo.client.Client` implements it."""

    def call(
        self,
        method: str,
        path: str,
        user: str | None = None,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request as a user."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was acknowledged at a position."""

    key: str
    seq: int
    turn: Turn


@dataclass(slots=True)
class Posted:
    """A conversation that was posted.

    Attributes:
        conversation: Its name in the source.
        channel_id: Where it was posted.
        sent: The acknowledged messages, in order.
        refused: What was refused, and why; in words.
        cut: Names and topics that were shortened.
        seconds: How long each post took, without earlier attempts.
        conflicts: Posts that took more DynamoDB calls than an undisturbed one.
        retries: Responses after which a post was repeated, by status; 0 for a broken connection.
    """

    conversation: str
    channel_id: str
    sent: list[Sent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    conflicts: int = 0
    retries: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A channel's messages, its positions without a message, and gaps between pages."""

    messages: list[dict[str, Any]]
    voids: int
    gaps: int


def post_conversation(api: Api, conversation: Conversation, key: str, on_turn: Callable[[], None]) -> Posted:
    """Post a conversation into a new channel, one message after the other.

    Args:
        api: the API.
        conversation: what to post.
        key: prefix of this conversation's idempotency keys, unique to it.
        on_turn: called after each message.

    Raises:
        ApiError: a response was neither an acknowledgement nor a refusal of the text.
    """
    posted = Posted(conversation.name, create_channel(api, conversation, key))
    if channel_topic(conversation.topic) != conversation.topic:
        posted.cut.append(f"{conversation.name}, its topic")
    if channel_name(conversation.name) != conversation.name:
        posted.cut.append(f"{conversation.name}, its name")
    for number, turn in enumerate(conversation.turns, 1):
        _post(api, posted, turn, f"{key}-{number}")
        on_turn()
    return posted


def create_channel(api: Api, conversation: Conversation, key: str) -> str:
    """Create a channel of the conversation's kind and topic, with its speakers and the reader; return its id.

    Raises:
        ApiError: it was not created.
    """
    owner, *others = conversation.speakers
    members = list(dict.fromkeys([READER, *others]))
    body = {
        "kind": conversation.kind,
        "name": channel_name(conversation.name),
        "topic": channel_topic(conversation.topic),
        "members": members[:_MEMBERS_AT_CREATION],
    }
    response = api.call("POST", "/v1/channels", owner, body=body, headers={"Idempotency-Key": key})
    _demanded(response, 201)
    channel_id = str(response.json["id"])
    for member in members[_MEMBERS_AT_CREATION:]:
        path = f"/v1/channels/{channel_id}/members/{quote(member, safe='')}"
        _demanded(api.call("PUT", path, owner), 201, 200)
    return channel_id


def channel_name(name: str) -> str:
    """The name within the API's limits: 80 characters, 160 bytes, without refused characters, not blank."""
    cut = beginning(_NOT_IN_NAMES.sub(" ", name).strip(), MAX_NAME, MAX_NAME_BYTES).strip()
    return cut if is_visible(cut) else "conversation"


def channel_topic(topic: str) -> str:
    """The topic within the API's limits: 250 characters, 300 bytes, without refused characters; None if blank."""
    cut = beginning(_NOT_IN_NAMES.sub(" ", topic), MAX_TOPIC, MAX_TOPIC_BYTES)
    return cut if is_visible(cut) else ""


def _post(api: Api, posted: Posted, turn: Turn, key: str) -> None:
    response = api.call(
        "POST",
        f"/v1/channels/{posted.channel_id}/messages",
        turn.speaker,
        body={"text": turn.text, "client_message_id": key},
        headers={"Idempotency-Key": key},
    )
    posted.retries.update(response.retries)
    if response.status in REFUSALS:
        place = turn.ts or f"message {key.rpartition('-')[2]}"
        posted.refused.append(f"{posted.conversation}, {place}: {_reason(response)}")
        return
    message = _demanded(response, 201).json
    posted.sent.append(Sent(key, message["seq"], turn))
    posted.seconds.append(response.seconds)
    calls = _CALLS.search(response.headers.get("server-timing", ""))
    posted.conflicts += bool(calls and int(calls[1]) > UNDISTURBED_CALLS)


def read_back(api: Api, channel_id: str, on_end: Callable[[], None]) -> ReadBack:
    """Read a channel from its beginning, page by page, as the reader; `on_end` is called after the last.

    Raises:
        ApiError: a page was refused.
    """
    messages: list[dict[str, Any]] = []
    position = gaps = 0
    while True:
        path = f"/v1/channels/{channel_id}/messages?after={position}&limit={PAGE}"
        page = _demanded(api.call("GET", path, READER), 200).json
        messages += page["messages"]
        gaps += page["first_seq"] != position + 1
        if page["last_seq"] <= position or not page["has_more_after"]:
            # Every writer has ended: no position may be left open.
            gaps += page["last_seq"] != page["channel_last_seq"]
            on_end()
            return ReadBack(messages, page["channel_last_seq"] - len(messages), gaps)
        position = page["last_seq"]


def compare(sent: Sequence[Sent], read: ReadBack) -> Counter[str]:
    """How often each of `FAULTS` was found between what was acknowledged and what was read."""
    wanted = {each.key: each for each in sent}
    there = Counter(str(message.get("client_message_id")) for message in read.messages)
    known = [each for each in read.messages if each.get("client_message_id") in wanted]
    return Counter(
        {
            "lost": sum(key not in there for key in wanted),
            "doubled": sum(times - 1 for times in there.values()),
            "out of order": _out_of_order([key for key in wanted if key in there], known),
            "changed": sum(_differs(wanted[each["client_message_id"]], each) for each in known),
            "unknown": sum(key not in wanted for key in there),
            "gaps between pages": read.gaps,
        }
    )


def _out_of_order(expected: list[str], known: list[dict[str, Any]]) -> int:
    found: list[str] = list(dict.fromkeys(each["client_message_id"] for each in known))
    misplaced = sum(key != other for key, other in zip(expected, found, strict=True))
    positions: list[int] = [each["seq"] for each in known]
    return misplaced + sum(later <= earlier for earlier, later in pairwise(positions))


def _differs(sent: Sent, message: dict[str, Any]) -> bool:
    return (sent.seq, sent.turn.speaker, sent.turn.text) != (
        message["seq"],
        message["sender"],
        message["text"],
    )


def _demanded(response: Response, *statuses: int) -> Response:
    if response.status not in statuses:
        raise ApiError(f"the API answered {response.status}: {_reason(response)}")
    return response


def _reason(response: Response) -> str:
    """The text of a problem document, or of a gateway's message; never what was sent."""
    try:
        document = response.json
    except ValueError:
        return "no JSON"
    if not isinstance(document, dict):
        return "no problem document"
    fields = [f"{each['field']}: {each['detail']}" for each in document.get("errors") or ()]
    return "; ".join(fields) or str(document.get("detail") or document.get("message"))
