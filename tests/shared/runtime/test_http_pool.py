"""Kept connections: trust and reuse over TLS, and two threads that close them."""

from __future__ import annotations

import ipaddress
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.runtime.http_pool import Connections, NotConnectedError, tls

pytestmark = pytest.mark.stack


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """An untrusted certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "budgie test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path


@contextmanager
def serving(certificate: Path) -> Iterator[tuple[str, list[object]]]:
    """A server over TLS: its address, and the client's address of each request."""
    asked: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked.append(self.client_address)
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust it
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _fresh_trust() -> Iterator[None]:
    """What a test trusts stays with it."""
    tls.cache_clear()
    yield
    tls.cache_clear()


def test_a_trusted_server_is_asked_again_on_the_same_connection(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS session tickets between responses are not taken for the end of the connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(certificate) as (url, asked):
        connections = Connections(url, 5, 5)
        for i in range(4):
            response, body = connections.request("POST", "/", {}, b"hello %d" % i)
            assert (response.status, body) == (200, b"hello %d" % i)
        connections.close()
    assert len(asked) == 4
    assert len(set(asked)) == 1


def test_an_untrusted_server_is_not_asked(certificate: Path) -> None:
    """Nothing is sent, not even its headers."""
    with serving(certificate) as (url, asked):
        with pytest.raises(NotConnectedError) as caught:
            Connections(url, 5, 5).request("POST", "/", {"authorization": "secret"}, b"secret")
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert asked == []


class Contended(deque[Any]):
    """Another thread takes the last connection as soon as its presence was checked."""

    def __len__(self) -> int:
        seen = super().__len__()
        self.clear()
        return seen


def test_two_threads_may_close_the_same_connections() -> None:
    """A container wakes, and both reads of its first request find that all that was kept is gone."""
    connections = Connections("http://127.0.0.1:9", 5, 5)
    connections._idle = Contended([(HTTPConnection("127.0.0.1:9"), 0.0)])
    connections.close()
    connections.close()
