"""The WebSocket side of the local gateway, with a real client: handshake, messages, limits, management, faults."""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from local.gateway.connections import Durations
from local.gateway.http_api import Gateway
from local.gateway.push_faults import FATES, MAX_FRAMES_LEFT, Chances, KilledError
from tests.local.probe_project import Project

pytestmark = pytest.mark.stack

TEMPLATE: Final = """
  Frames:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: frames, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.type}
  FramesStage:
    Type: AWS::ApiGatewayV2::Stage
    Properties:
      ApiId: !Ref Frames
      StageName: live
      DefaultRouteSettings: {ThrottlingRateLimit: 0.001, ThrottlingBurstLimit: 20}
"""

ROUTE: Final = """
  %(name)sFunction: {Type: AWS::Serverless::Function, Properties: {Handler: %(package)s.frames.%(handler)s}}
  %(name)sIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Frames
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/\
${%(name)sFunction.Arn}/invocations"
  %(name)sRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Frames
      RouteKey: %(key)s
      RouteResponseSelectionExpression: $default
      Target: !Sub "integrations/${%(name)sIntegration}"
"""

RESPONSE: Final = """
  DefaultRouteResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Frames, RouteId: !Ref DefaultRoute, RouteResponseKey: $default}
"""

HANDLERS: Final = """
import threading

events = []
both = threading.Barrier(2, timeout=5)


def connect(event, context):
    events.append(event)
    offered = event["headers"].get("Sec-WebSocket-Protocol", "")
    if "crash" in offered:
        raise KeyError("secret")
    if "refused" in offered:
        return {"statusCode": 401}
    return {"statusCode": 200, "headers": {"sec-websocket-protocol": "one", "X-Other": "2"}}


def default(event, context):
    events.append(event)
    match event["body"]:
        case "crash":
            raise KeyError("secret")
        case "nothing":
            return None
        case "silence":
            return {"statusCode": 200}
        case "together":
            both.wait()
    return {"statusCode": 200, "body": event["body"]}


def disconnect(event, context):
    events.append(event)
    return {"statusCode": 200}
"""

SIGNED: Final = {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}


class Served:
    """A running gateway with a WebSocket API, and its address and events."""

    def __init__(self, project: Project, gateway: Gateway) -> None:
        self.gateway = gateway
        self._project = project
        assert gateway.websockets
        self.faults = gateway.websockets.faults
        self.address = f"ws://127.0.0.1:{gateway.port}/realtime"
        self.http = httpx.Client(base_url=f"{gateway.url}/realtime/", headers=SIGNED, timeout=20)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that functions got so far."""
        module = sys.modules.get(f"{self._project.package}.frames")
        return list(module.events) if module else []

    def connect(self, **options: Any) -> ClientConnection:
        """A connected client, without the library's own pings and compression."""
        return connect(
            self.address,
            **{"subprotocols": ["one", "ticket"], "compression": None, "ping_interval": None, "proxy": None}
            | options,
        )

    def post(self, connection_id: str, message: bytes | str) -> int:
        """The status of sending a message to a connection."""
        return self.http.post(
            f"@connections/{connection_id.replace('=', '%3D')}", content=message
        ).status_code


@contextmanager
def served(project: Project, **options: Any) -> Iterator[Served]:
    """A gateway whose template also has a WebSocket API."""
    project.write("frames.py", HANDLERS)
    with (project.root / "template.yaml").open("a") as template:
        template.write(TEMPLATE)
        for name in ("Connect", "Default", "Disconnect"):
            fields = {"name": name, "key": f"${name.lower()}", "handler": name.lower()}
            template.write(ROUTE % (fields | {"package": project.package}))
        template.write(RESPONSE)
    with project.gateway(**options) as gateway:
        running = Served(project, gateway)
        with running.http:
            yield running


@pytest.fixture
def api(project: Project) -> Iterator[Served]:
    """A WebSocket API."""
    with served(project) as running:
        yield running


def connection_id(api: Served) -> str:
    """The id of the connection that was opened last."""
    opened = [event for event in api.events if event["requestContext"]["eventType"] == "CONNECT"]
    return str(opened[-1]["requestContext"]["connectionId"])


def wait_for(check: Callable[[], object]) -> None:
    """Repeat a check until it holds, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_functions_get_the_events_that_aws_sends(api: Served) -> None:
    """One event for the handshake with headers and query, one a message, one for the end with its code."""
    with connect(f"{api.address}?a=1&a=2", subprotocols=["one", "ticket"], proxy=None) as client:  # type: ignore[list-item]  # plain text is enough
        assert client.subprotocol == "one"
        assert client.response
        assert "x-other" not in client.response.headers
        client.send("hello")
        assert client.recv(10) == "hello"
        client.send(b"\x00\xff")
        assert client.recv(10) == "AP8="
        client.close(4000, "enough")
    wait_for(lambda: len(api.events) == 4)
    opened, text, binary, ended = api.events
    assert opened["headers"]["Sec-WebSocket-Protocol"] == "one, ticket"
    assert opened["multiValueHeaders"]["Sec-WebSocket-Version"] == ["13"]
    assert opened["queryStringParameters"] == {"a": "2"}
    assert opened["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    contexts = [event["requestContext"] for event in api.events]
    assert [context["routeKey"] for context in contexts] == [
        "$connect",
        "$default",
        "$default",
        "$disconnect",
    ]
    assert [context["eventType"] for context in contexts] == ["CONNECT", "MESSAGE", "MESSAGE", "DISCONNECT"]
    for name in ("connectionId", "connectedAt", "domainName", "stage", "apiId"):
        assert len({context[name] for context in contexts}) == 1
    assert len({context["requestId"] for context in contexts}) == 4
    assert contexts[0]["identity"]["sourceIp"] == "127.0.0.1"
    assert (text["body"], text["isBase64Encoded"], "headers" in text) == ("hello", False, False)
    assert (binary["body"], binary["isBase64Encoded"]) == ("AP8=", True)
    assert ended["requestContext"]["disconnectStatusCode"] == 4000
    assert ended["requestContext"]["disconnectReason"] == "enough"


def test_handshakes_are_refused(api: Served, project: Project) -> None:
    """By the function's status, 502 if it fails; of a page from elsewhere; of no WebSocket; above the stage's limit."""
    for subprotocols, origin, status in (
        (["refused"], None, 401),
        (["crash"], None, 502),
        (["one"], "https://elsewhere.example", 403),
    ):
        with (
            pytest.raises(InvalidStatus) as refused,
            api.connect(subprotocols=subprotocols, origin=origin),
        ):
            pass
        assert refused.value.response.status_code == status
    assert api.http.get(api.address.replace("ws:", "http:")).status_code == 426
    for _ in range(18):
        with api.connect():
            pass
    with pytest.raises(InvalidStatus) as throttled, api.connect():
        pass
    assert throttled.value.response.status_code == 429
    assert not any("secret" in line or "ticket" in line for line in project.lines)


def test_messages_without_an_answer(api: Served) -> None:
    """A function that fails, or whose result is none, is an error to the client; an empty body is no answer."""
    with api.connect() as client:
        for failing in ("crash", "nothing"):
            client.send(failing)
            told = json.loads(client.recv(10))
            assert told["message"] == "Internal server error"
            assert told["connectionId"] == connection_id(api)
        for text in ("silence", "after"):
            client.send(text)
        assert client.recv(10) == "after"
        for _ in range(17):
            client.send("many")
        told = [client.recv(10) for _ in range(17)]
        assert sum("Too Many Requests" in text for text in map(str, told)) == 1


def test_messages_of_a_connection_are_processed_side_by_side(api: Served) -> None:
    """A second message does not wait for the first one's function."""
    with api.connect() as client:
        for _ in range(2):
            client.send("together")
        assert [client.recv(10) for _ in range(2)] == ["together"] * 2


def test_functions_send_to_connections(api: Served) -> None:
    """Messages arrive, long ones in frames of 32 KB; GET describes the connection, DELETE ends it; then it is gone."""
    with api.connect() as client:
        name = connection_id(api)
        assert api.post(name, "é" * 40_000) == 200
        pieces = [bytes(piece) for piece in client.recv_streaming(decode=False)]
        assert [len(piece) for piece in pieces] == [32 * 1024, 32 * 1024, 80_000 - 64 * 1024]
        assert b"".join(pieces).decode() == "é" * 40_000
        described = api.http.get(f"@connections/{name}").json()
        assert described["identity"]["sourceIp"] == "127.0.0.1"
        assert described["connectedAt"] <= described["lastActiveAt"]
        assert api.post(name, b"x" * (128 * 1024 + 1)) == 413
        assert api.http.delete(f"@connections/{name}").status_code == 204
        with pytest.raises(ConnectionClosed) as ended:
            client.recv(10)
        assert ended.value.rcvd
        assert ended.value.rcvd.code == 1000
        wait_for(lambda: api.http.get(f"@connections/{name}").status_code == 410)
    gone = api.http.post(f"@connections/{name}", content="late")
    assert (gone.status_code, gone.headers["x-amzn-errortype"], gone.content) == (410, "GoneException", b"")
    unsigned = httpx.post(f"{api.http.base_url}@connections/{name}")
    assert (unsigned.status_code, unsigned.json()) == (403, {"message": "Missing Authentication Token"})


def test_a_slow_client_delays_no_other(api: Served) -> None:
    """Whoever does not read gets 429 once the buffers are full, and everything sent before when they read."""
    raw = socket.create_connection(("127.0.0.1", api.gateway.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    with api.connect(sock=raw, max_queue=1) as slow:
        name, sent = connection_id(api), 0
        while (status := api.post(name, f"{sent:06}" + "x" * 100_000)) == 200:
            sent += 1
        assert status == 429
        with api.connect() as other:
            assert api.post(connection_id(api), "quick") == 200
            assert other.recv(10) == "quick"
        assert [int(str(slow.recv(10))[:6]) for _ in range(sent)] == list(range(sent))
        wait_for(lambda: api.post(name, "again") == 200)
        assert slow.recv(10) == "again"
    wait_for(lambda: not any(thread.name == "slow client" for thread in threading.enumerate()))


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda client: client.send("x" * (32 * 1024 + 1)), 1009),
        (lambda client: client.send(["x" * 30_000] * 5), 1009),
        (lambda client: client.send(b"\xff", text=True), 1007),
    ],
)
def test_what_is_too_large_or_no_text_ends_the_connection(
    api: Served, send: Callable[[ClientConnection], None], code: int
) -> None:
    """A frame over 32 KB or a message over 128 KB is 1009, text that is not UTF-8 is 1007; no function sees it."""
    with api.connect() as client:
        client.send(["x" * 30_000] * 4)
        assert len(client.recv(10)) == 120_000
        with pytest.raises(ConnectionClosed) as ended:  # noqa: PT012  # sending may notice the end already
            send(client)
            client.recv(10)
        assert ended.value.rcvd
        assert ended.value.rcvd.code == code
    wait_for(lambda: len(api.events) == 3)
    assert api.events[-1]["requestContext"]["disconnectStatusCode"] == code


@pytest.mark.parametrize("durations", [Durations(idle=0.2), Durations(total=0.2)])
def test_connections_end_with_their_time(project: Project, durations: Durations) -> None:
    """A silent connection, and one that has lasted its time, end with 1001."""
    with served(project, durations=durations) as api, api.connect() as client:
        with pytest.raises(ConnectionClosed) as ended:
            client.recv(10)
        assert ended.value.rcvd
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1001, "Going away")
        wait_for(lambda: len(api.events) == 2)


def test_the_end_of_the_gateway_ends_connections(project: Project) -> None:
    """Clients get 1001, functions learn of the end, and no thread stays."""
    before = threading.active_count()
    with served(project) as api, api.connect() as client:
        client.send("hello")
        assert client.recv(10) == "hello"
        api.gateway.close()
        with pytest.raises(ConnectionClosed) as ended:
            client.recv(10)
        assert ended.value.rcvd
        assert ended.value.rcvd.code == 1001
        assert api.events[-1]["requestContext"]["eventType"] == "DISCONNECT"
    wait_for(lambda: threading.active_count() <= before)


def test_faults_strike_frames(api: Served) -> None:
    """Each kind does what it says, and is counted; answers of functions are never refused."""
    strikes = {
        "dropped": (200, ["next"]),
        "doubled": (200, ["it", "it", "next"]),
        "reordered": (200, ["next", "it"]),
        "gone": (410, ["next"]),
        "delayed": (200, ["it"]),
    }
    with api.connect() as client:
        name = connection_id(api)
        for fate, (status, received) in strikes.items():
            api.faults.chances = Chances(**{fate: 1.0})
            assert api.post(name, "it") == status
            api.faults.chances = Chances()
            if "next" in received:
                assert api.post(name, "next") == 200
            assert [client.recv(10) for _ in received] == received
        answer = api.http.put("@faults", json={"busy": 1.0, "seed": 3})
        assert answer.json()["chances"]["busy"] == 1.0
        assert {api.post(name, "busy") for _ in range(8)} == {429}
        client.send("answer")
        got = 0
        while client.recv(10) == "busy":
            got += 1
        assert 0 < got < 8
        api.faults.arm({"disconnected": 1})
        assert api.post(name, "last") == 200
        with pytest.raises(ConnectionClosed) as ended:
            client.recv(10)
        assert ended.value.rcvd is None
    assert set(api.http.get("@faults").json()["struck"]) == set(FATES)
    for wrong in ({"busy": 2}, {"unknown": 1}, [1], {"busy": "x"}):
        assert api.http.put("@faults", json=wrong).status_code == 400


def test_a_killed_function_sends_no_more(api: Served) -> None:
    """Before its work it sends nothing, amid it the first frames, after it all of them; its invocation fails."""
    numbers = [str(number) for number in range(MAX_FRAMES_LEFT)]
    with api.connect() as client:
        name = connection_id(api)

        def sent_when(fate: str) -> int:
            api.faults.arm({fate: 1.0, "seed": 1})
            with pytest.raises(KilledError):
                api.faults.run(lambda: [api.post(name, number) for number in numbers])
            api.faults.arm({})
            assert api.faults.run(lambda: api.post(name, "end")) == 200
            received = []
            while (message := client.recv(10)) != "end":
                received.append(message)
            assert received == numbers[: len(received)]
            return len(received)

        assert sent_when("killed_before") == 0
        assert 0 < sent_when("killed_amid") < len(numbers)
        assert sent_when("killed_after") == len(numbers)


def test_an_end_may_not_be_told(api: Served) -> None:
    """No function is called for it then; the gateway says whose end that was."""
    api.faults.arm({"untold": 1.0})
    with api.connect():
        name = connection_id(api)
    wait_for(lambda: api.http.get("@faults").json()["untold"] == [name])
    assert api.http.get("@faults").json()["open"] == 0
    assert not [each for each in api.events if each["requestContext"]["eventType"] == "DISCONNECT"]
