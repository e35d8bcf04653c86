"""Ports on the loopback interface: the preferred one if it is free, else one that the system assigns."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
_PROBE_SECONDS = 0.2


def choose(preferred: int) -> int:
    """Return the preferred port if it is free, else another free one; 0 means any free one."""
    if preferred and not is_open(preferred):
        try:
            return _bind(preferred)
        except OSError:
            # In use without accepting connections, or not permitted (below 1024).
            pass
    return _bind(0)


def is_open(port: int) -> bool:
    """Tell whether something accepts connections on this port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False


def _bind(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # As servers do, so that connections in TIME_WAIT after a restart do not count as in use.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        candidate.bind((LOOPBACK, port))
        return int(candidate.getsockname()[1])
