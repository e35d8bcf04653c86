"""Opening and closing connections."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain.errors import StoreUnavailableError
from shared.domain.realtime import CONNECTION_SECONDS, MAX_CONNECTIONS
from shared.storage.memory import MemoryStore
from tests.cases import case
from tests.realtime.connections import event
from tests.security.leaks import captured

if TYPE_CHECKING:
    from tests.api import Api
    from tests.conftest import FakeClock
    from tests.functions.chat import Chat
    from tests.realtime.connections import Connections


def test_a_ticket_opens_one_connection(
    connections: Connections, store: MemoryStore, clock: FakeClock
) -> None:
    """The connection is its user's, for two hours; the ticket is refused from then on."""
    protocols = f"budgie.v1, {connections.ticket('grace')}"
    assert connections.connect("c1=", protocols)["statusCode"] == 200
    assert connections.connect("c2=", protocols) == {"statusCode": 401}
    opened = store.connection("c1=", clock.ms)
    assert opened
    assert (opened.user_id, opened.expires) == ("grace", clock.ms // 1000 + CONNECTION_SECONDS)
    assert store.connection("c2=", clock.ms) is None


def test_nothing_else_opens_one(connections: Connections, clock: FakeClock) -> None:
    """An expired, unknown, missing or doubled ticket is 401; a client without our subprotocol is told so."""
    late = connections.ticket()
    clock.ms += 30_000
    good = connections.ticket()
    for status, protocols in (
        (401, f"budgie.v1, {late}"),
        (401, f"budgie.v1, {'0' * 32}"),
        (401, "budgie.v1"),
        (401, f"budgie.v1, {good}, {connections.ticket()}"),
        (401, f"budgie.v1, {good.upper()}"),
        (400, good),
        (400, ""),
    ):
        with case(protocols):
            assert connections.connect("c1=", protocols) == {"statusCode": status}
    headers = {"multiValueHeaders": {"sec-websocket-protocol": ["budgie.v1", good]}}
    assert connections.opening(event("$connect", "c1=", **headers))["statusCode"] == 200


def test_a_message_neither_opens_nor_closes(
    connections: Connections, store: MemoryStore, clock: FakeClock
) -> None:
    """API Gateway chooses a message's route by its `type`, which may be `$connect` or `$disconnect`."""
    connections.open("c1=")
    for route in ("$connect", "$disconnect"):
        with case(route):
            sent = event(
                route, "c1=", headers={"Sec-WebSocket-Protocol": f"budgie.v1, {connections.ticket()}"}
            )
            sent["requestContext"]["eventType"] = "MESSAGE"
            before = store.connection("c1=", clock.ms)
            clock.ms += 1000
            assert "malformed_request" in connections.opening(sent)["body"]
            assert store.connection("c1=", clock.ms) == before


def test_one_more_than_ten_ends_the_oldest(
    connections: Connections, store: MemoryStore, clock: FakeClock, chat: Chat
) -> None:
    """Its watches end, too."""
    channel = chat.channel()
    for number in range(MAX_CONNECTIONS + 1):
        clock.ms += 1
        connections.open(f"c{number}=")
        if number == 0:
            connections.watch("c0=", {"channel_id": channel})
    connections.open("other=", "grace")
    left = [each.connection_id for each in store.connections_of("ada", clock.ms)]
    assert left == [f"c{number}=" for number in range(1, MAX_CONNECTIONS + 1)]
    assert connections.sender.ended == {"c0="}
    assert store.watches(channel, clock.ms) == []


def test_closing_ends_the_watches(
    connections: Connections, store: MemoryStore, clock: FakeClock, chat: Chat
) -> None:
    """`$disconnect` forgets the connection; it may come twice, or for a connection that never was."""
    channel = chat.channel()
    connections.open("c1=")
    connections.watch("c1=", {"channel_id": channel})
    for _ in range(2):
        assert connections.close("c1=") == {"statusCode": 200}
    assert store.connection("c1=", clock.ms) is None
    assert store.watches(channel, clock.ms) == []


class BrokenStore(MemoryStore):
    """A storage that takes no ticket."""

    failure: Exception | None = None

    def take_ticket(self, ticket_hash: str, now: int) -> str | None:
        """Fails, where a failure is set."""
        if self.failure:
            raise self.failure
        return super().take_ticket(ticket_hash, now)


def test_failures_refuse_the_handshake(api: Api, connections: Connections) -> None:
    """503 while the storage fails, 500 for a crash, whose log line quotes nothing."""
    protocols = f"budgie.v1, {connections.ticket()}"
    broken = BrokenStore()
    api.services = replace(api.services, store=broken)
    for failure, status in ((StoreUnavailableError(), 503), (RuntimeError(protocols), 500)):
        broken.failure = failure
        with captured() as stream:
            assert connections.connect("c1=", protocols) == {"statusCode": status}
        assert protocols not in stream.getvalue()


def test_any_payload_gets_a_result(connections: Connections) -> None:
    """Whatever Lambda passes: 400, one line, no crash."""
    good: dict[str, Any] = event("$connect", "c1=")
    context = good["requestContext"]
    payloads: list[Any] = [
        *(None, [], "text", {}, {"requestContext": None}, {"requestContext": {}}),
        *(
            good | {"requestContext": context | {"connectionId": each}}
            for each in (None, "", "a#b", "a b", 7)
        ),
        good | {"requestContext": context | {"eventType": ["CONNECT"]}},
        good | {"headers": {"Sec-WebSocket-Protocol": 7, "x": None}},
        good | {"headers": None, "multiValueHeaders": {"Sec-WebSocket-Protocol": [None, "\ud800"]}},
    ]
    for payload in payloads:
        with case(payload), captured() as stream:
            assert connections.opening(payload)["statusCode"] == 400
            [line] = [json.loads(each) for each in stream.getvalue().splitlines()]
            assert (line["function"], line["code"]) == ("open_connection", "malformed_request")


def test_a_line_names_no_ticket_and_no_user(connections: Connections) -> None:
    """It has the route, the user's hash, the connection, and the metrics of any request."""
    ticket = connections.ticket("grace@example.com")
    with captured() as stream:
        connections.connect("c1=", f"budgie.v1, {ticket}")
        connections.close("c1=")
    text = stream.getvalue()
    assert ticket not in text
    assert "grace" not in text
    opened, closed = (json.loads(each) for each in text.splitlines())
    assert (opened["route"], opened["connection"], opened["status"]) == ("$connect", "c1=", 200)
    assert closed["route"] == "$disconnect"
    assert opened["user"] == closed["user"]
    assert opened["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == "Latency"
