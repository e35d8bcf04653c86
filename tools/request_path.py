"""Counts our files that a request executes, and the moves between them: ``python -m tools.request_path [--moves]``.

The real handlers serve API Gateway's events over the real AWS client, whose connection returns canned responses;
nothing is sent. A move is a call or a return after which another file of ours executes; libraries in between do not
count. Each request runs once before it is counted, to leave out what a container does only once; "first page" is then
served by a new container, which has no page in memory.
"""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.bootstrap import Services

ROOT: Final = Path(__file__).resolve().parents[1]
OURS: Final = (f"{ROOT}/functions/", f"{ROOT}/shared/")
CHANNEL: Final = "4nc0f2k9q1d7h3sa"
OTHER: Final = "4nc0f2k9q1d7h3sb"
USER: Final = "ada"
MESSAGES: Final = 60
STARTED_AT: Final = 1_795_459_464_123
POST, FIRST, AGAIN, LIST = "post", "first page", "page from memory", "list"


@dataclass(frozen=True, slots=True)
class RequestPath:
    """A request's path: its files in order of execution, and each move from one to another."""

    files: tuple[str, ...]
    moves: tuple[tuple[str, str], ...]


# --- AWS's responses ---


class CannedResponse:
    """An HTTP response with the attributes that the AWS client reads."""

    status = 200

    def __init__(self) -> None:
        self.headers = Message()


class CannedConnections:
    """Replaces ``Connections``: each operation of DynamoDB has one response for all requests."""

    host = "dynamodb.us-east-1.amazonaws.com"

    def __init__(self, responses: Mapping[str, Any]) -> None:
        self._responses = {name: _to_json(each) for name, each in responses.items()}

    def request(
        self,
        method: str,  # noqa: ARG002 - as ``Connections``
        path: str,  # noqa: ARG002
        headers: Mapping[str, str],
        body: bytes,  # noqa: ARG002
    ) -> tuple[CannedResponse, bytes]:
        """The operation's response."""
        return CannedResponse(), self._responses[headers["x-amz-target"].rpartition(".")[2]]

    def close(self) -> None:
        """Nothing to close."""


def _to_json(response: Any) -> bytes:  # noqa: ANN401 - any JSON, bytes among it
    return json.dumps(response, default=lambda raw: b64encode(raw).decode()).encode()


def _responses() -> dict[str, Any]:
    """Responses with a channel whose messages the caller has read, and a second channel for the list."""
    from shared.domain.messages import Draft, encode, preview
    from shared.domain.model import Entry, Head, Kind, Membership, Role
    from shared.storage import items

    consumed = {"CapacityUnits": 1.0}
    shown = preview(MESSAGES, USER, "Hello, Ada!", STARTED_AT)
    heads, memberships = [], []
    for channel_id in (CHANNEL, OTHER):
        head = items.head_item(
            Head(channel_id, Kind.PUBLIC, "lobby", "", USER, STARTED_AT, seq=MESSAGES, messages=MESSAGES)
        )
        heads.append(
            head
            | {
                "lq": items.n(shown.seq),
                "lu": items.s(USER),
                "lt": items.s(shown.text),
                "lc": items.n(STARTED_AT),
            }
        )
        memberships.append(
            items.membership_item(
                Membership(USER, channel_id, Role.MEMBER, STARTED_AT, MESSAGES, MESSAGES, tat=0)
            )
        )
    entries = [
        items.entry_item(
            CHANNEL,
            Entry(seq, seq, STARTED_AT, encode(CHANNEL, seq, USER, STARTED_AT, Draft("Hello, Ada!" * 10))),
        )
        for seq in range(11, MESSAGES + 1)
    ]
    return {
        "state": {"Responses": {"table": [heads[0], memberships[0]]}, "ConsumedCapacity": [consumed]},
        "heads": {"Responses": {"table": heads}, "ConsumedCapacity": [consumed]},
        "UpdateItem": {"Attributes": heads[0], "ConsumedCapacity": consumed},
        "TransactWriteItems": {"ConsumedCapacity": [consumed]},
        "entries": {"Items": entries, "Count": len(entries), "ConsumedCapacity": consumed},
        "memberships": {"Items": memberships, "Count": len(memberships), "ConsumedCapacity": consumed},
    }


def canned_services(*, lists: bool) -> Services:
    """The services of a container whose connection has the responses for a page or, with ``lists``, for a list."""
    from shared.aws.client import Client, Credentials, Signer
    from shared.bootstrap import compose
    from shared.domain.clock import SharedClock, now_ms
    from shared.settings import Settings
    from shared.storage.dynamodb import DynamoDBStore

    known = _responses()
    read, queried = ("heads", "memberships") if lists else ("state", "entries")
    connections: Any = CannedConnections(known | {"BatchGetItem": known[read], "Query": known[queried]})
    signer = Signer(Credentials("key", "secret"), "dynamodb", "us-east-1", connections.host)
    clock = SharedClock()
    store = DynamoDBStore(Client(connections, signer, 1), "table", on_server_date=clock.on_server_date)
    return compose(Settings.from_env({"TABLE_NAME": "table"}), store, clock.now, own=now_ms)


# --- requests ---


def _event(method: str, route: str, query: str = "", body: object = None) -> dict[str, Any]:
    """API Gateway's event for a request of the user to the channel."""
    path = route.replace("{channel_id}", CHANNEL)
    return {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept-encoding": "gzip", "content-type": "application/json"},
        "pathParameters": {"channel_id": CHANNEL} if path != route else None,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            "authorizer": {"jwt": {"claims": {"sub": USER}}},
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
            "domainName": "127.0.0.1",
        },
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }


_MESSAGES: Final = "/v1/channels/{channel_id}/messages"
REQUESTS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    POST: ("post_message", _event("POST", _MESSAGES, body={"text": "Hello, Ada!"})),
    FIRST: ("fetch_messages", _event("GET", _MESSAGES)),
    AGAIN: ("fetch_messages", _event("GET", _MESSAGES)),
    LIST: ("list_channels", _event("GET", "/v1/channels")),
}
"""The function and the event of each request, by name."""


# --- counting ---


@contextmanager
def _watched(moved: Callable[[str], None]) -> Iterator[None]:
    """Calls ``moved`` with our file that executes next, after each call and each return."""

    def watch(frame: FrameType, happened: str, _: object) -> None:
        if happened == "call":
            here: FrameType | None = frame
        elif happened == "return":
            here = frame.f_back
        else:
            return
        if here is not None and here.f_code.co_filename.startswith(OURS):
            moved(here.f_code.co_filename.removeprefix(f"{ROOT}/"))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def path_of(name: str) -> RequestPath:
    """The path of one of ``REQUESTS``."""
    from shared.web.app import current_services

    function, event = REQUESTS[name]
    module = import_module(f"functions.{function}.handler")
    services = canned_services(lists=name == LIST)
    passed: list[str] = []
    overrides = module.app.dependency_overrides
    before = dict(overrides)

    async def current() -> Services:
        return services

    overrides[current_services] = current
    try:
        _serve(module.handler, event)
        if name == FIRST:
            services = canned_services(lists=False)
        with _watched(passed.append):
            _serve(module.handler, event)
    finally:
        overrides.clear()
        overrides.update(before)
    moves = [(here, there) for here, there in pairwise(passed) if here != there]
    return RequestPath(tuple(dict.fromkeys(passed)), tuple(moves))


def _serve(handler: Callable[..., Any], event: dict[str, Any]) -> None:
    response = handler(event, None)
    if response["statusCode"] >= 300:  # noqa: PLR2004 - errors take another path
        raise RuntimeError(response)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the files and moves of each request."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--moves", action="store_true", help="also which moves, and how often each")
    options = parser.parse_args(arguments)
    paths = {name: path_of(name) for name in REQUESTS}
    for name, path in paths.items():
        print(f"{name}: {len(path.files)} files, {len(path.moves)} moves")
        for each in path.files:
            print(f"  {each}")
        if options.moves:
            for (here, there), count in Counter(path.moves).most_common():
                print(f"  {count:4d} {here} -> {there}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
