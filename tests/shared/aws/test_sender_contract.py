"""What every ``Sender`` does: one suite over Budgie's own, the one over botocore, and the fake of the tests."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from shared.aws.botocore_sender import BotocoreSender
from shared.aws.connect import BOTO3_ONLY, frame_sender
from shared.aws.http_sender import HttpSender
from shared.aws.sender import Sender, Sent
from shared.settings import SettingsError
from tests.cases import case
from tests.realtime.senders import FakeSender

pytestmark = pytest.mark.stack
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
REGION = {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"}
ENVIRON = {**REGION, **KEYS, "AWS_SESSION_TOKEN": "token"}
ID = "Zz-_9/+aB="


@dataclass
class Endpoint:
    """A management endpoint: what its connections got, and which statuses they answer with."""

    frames: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    clients: set[object] = field(default_factory=set)
    close_after: bool = False


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[str]:
    """The endpoint on a port of its own; its address as ``REALTIME_URL`` has it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = self._status()
            if status == 200:
                endpoint.frames[self._id()].append(body)
            if status == 0:
                self.close_connection = True
                return
            self._answer(status)

        def do_DELETE(self) -> None:
            status = self._status()
            endpoint.statuses[self._id()] = 410
            self._answer(204 if status == 200 else status)

        def _id(self) -> str:
            return unquote(self.path.removeprefix("/stage/@connections/"))

        def _status(self) -> int:
            endpoint.asked.append((self.command, self.path))
            endpoint.clients.add(self.client_address)
            if not self.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/"):
                return 403
            return endpoint.statuses.get(self._id(), 200)

        def _answer(self, status: int) -> None:
            self.close_connection = endpoint.close_after
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"ws://127.0.0.1:{server.server_address[1]}/stage"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class World:
    """A sender, and the far end."""

    sender: Sender
    frames: dict[str, list[bytes]]
    refuse: Callable[[str, int], None]
    endpoint: Endpoint


REAL = [HttpSender, BotocoreSender]


@pytest.fixture(params=[*REAL, FakeSender])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Each sender; the real ones as a function makes them."""
    endpoint = Endpoint()
    if request.param is FakeSender:
        fake = FakeSender()
        yield World(
            fake,
            fake.sent,
            lambda name, status: fake.answers.update({name: [Sent.of_status(status)]}),
            endpoint,
        )
        return
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)  # boto3 finds its credentials there
    environ = ENVIRON if request.param is HttpSender else REGION
    with serving(endpoint) as url:
        sender = frame_sender(url, environ)
        assert isinstance(sender, HttpSender | BotocoreSender)
        assert type(sender) is request.param
        yield World(sender, endpoint.frames, endpoint.statuses.__setitem__, endpoint)
        sender.close()


def test_a_frame_arrives_as_it_is(world: World) -> None:
    """Byte for byte, at its own connection, in order."""
    first, second = '{"text":"\u00fc\u2603"}'.encode(), b"x" * 32_768
    assert [world.sender.send(ID, each) for each in (first, second)] == [Sent.SENT, Sent.SENT]
    assert world.sender.send("other=", first) is Sent.SENT
    assert dict(world.frames) == {ID: [first, second], "other=": [first]}


def test_an_answer_says_whether_to_try_again(world: World) -> None:
    """Gone for ever, busy now, or refused for ever; each call tries once."""
    for status, expected in [
        (410, Sent.GONE),
        (429, Sent.BUSY),
        (500, Sent.BUSY),
        (503, Sent.BUSY),
        (403, Sent.REFUSED),
        (413, Sent.REFUSED),
        (400, Sent.REFUSED),
    ]:
        with case(status):
            name = f"{status}="
            world.refuse(name, status)
            assert world.sender.send(name, b"{}") is expected
            assert world.endpoint.asked.count(("POST", f"/stage/@connections/{status}%3D")) <= 1
    assert not any(world.frames.values())


def test_a_connection_that_was_ended_is_gone(world: World) -> None:
    """Ending it again does nothing."""
    world.sender.disconnect(ID)
    assert world.sender.send(ID, b"{}") is Sent.GONE
    world.sender.disconnect(ID)


@pytest.mark.parametrize("world", [HttpSender], indirect=True)
def test_a_kept_connection_that_was_closed_is_replaced(world: World) -> None:
    """After idle time the server has closed it; that is no failure."""
    world.endpoint.close_after = True
    assert [world.sender.send(ID, b"{}") for _ in range(3)] == [Sent.SENT] * 3
    world.endpoint.close_after = False
    assert [world.sender.send("b", b"{}") for _ in range(3)] == [Sent.SENT] * 3
    assert len(world.endpoint.clients) == 4


@pytest.mark.parametrize("world", REAL, indirect=True)
def test_silence_is_busy(world: World) -> None:
    """No answer, or no server at all."""
    world.refuse(ID, 0)
    assert world.sender.send(ID, b"{}") is Sent.BUSY
    sender = frame_sender("ws://127.0.0.1:9/stage", ENVIRON)
    assert sender.send(ID, b"{}") is Sent.BUSY
    sender.disconnect(ID)


def test_where_ours_does_not_suffice_boto3_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the other clients of AWS; over TLS unless the address is local."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    url = "wss://abc.execute-api.eu-central-1.amazonaws.com/v1"
    assert isinstance(frame_sender(url, ENVIRON), HttpSender)
    for variable in BOTO3_ONLY:
        monkeypatch.delenv(variable, raising=False)
        assert isinstance(frame_sender(url, ENVIRON | {variable: "something"}), BotocoreSender)
    for wrong in ["", "https://abc/v1", "wss://", "wsx://abc/v1"]:
        with case(wrong), pytest.raises(SettingsError, match="REALTIME_URL"):
            frame_sender(wrong, ENVIRON)
