"""Servers that never come to an end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


class Dripping:
    """Responds with some bytes, then a byte every 50 ms for ever; ``ended`` is set when the client has hung up."""

    def __init__(self, listener: socket.socket, first: bytes) -> None:
        self._listener = listener
        self._first = first
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.ended = threading.Event()
        self._over = threading.Event()

    def run(self) -> None:
        """Serves one connection after the other."""
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._drip(connection)
            self.ended.set()

    def close(self) -> None:
        """No more."""
        self._over.set()

    def _drip(self, connection: socket.socket) -> None:
        try:
            connection.recv(65_536)
            connection.sendall(self._first)
            while not self._over.wait(0.05):
                connection.sendall(b"x")
        except OSError:
            pass


@contextmanager
def dripping(first: bytes) -> Iterator[Dripping]:
    """A server on 127.0.0.1, until the context ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(10)
        server = Dripping(listener, first)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield server
        server.close()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
