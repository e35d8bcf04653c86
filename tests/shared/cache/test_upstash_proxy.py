"""The client wrapper goes through the proxy that the environment names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.shared.cache.calls import Make, failure
from tests.shared.cache.scripted import Script

pytestmark = pytest.mark.stack


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """An HTTPS proxy that refuses, and what it was asked for."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join()


def test_https_proxy_is_used(
    make: Make, proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database behind HTTPS_PROXY is asked for there, by CONNECT, without the token."""
    address, asked = proxy
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, address)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    upstash = make("https://name.upstash.io")
    assert failure(upstash) == "unreachable"
    assert asked[0].startswith(b"CONNECT name.upstash.io:443 HTTP/1.1\r\n")
    assert b"Bearer" not in asked[0]
    assert upstash.metrics.commands == 0


def test_no_proxy_is_respected(make: Make, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What NO_PROXY names is asked for directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    assert make(script.url).execute("get", "GET", "k") == "OK"
