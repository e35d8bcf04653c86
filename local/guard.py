"""Who may call the servers on 127.0.0.1: programs on this machine and pages that it serves, but no other web page.

Any page that a developer opens may send requests to 127.0.0.1. Two headers that a page cannot set reveal it: `Origin`
names the page's origin, `Host` the name that it calls. A page whose own name was made to resolve to 127.0.0.1 (DNS
rebinding) sends that name as the host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

NAMES: Final = frozenset({"localhost", "host.docker.internal"})
"""Names of this machine; containers on it use the second. No page can be served under them from elsewhere."""


def is_own_host(host: str | None) -> bool:
    """Whether a `Host` header names this machine, by address or by a name that nobody else can have."""
    name = _name(f"//{host}") if host else ""
    return _is_address(name) or name in NAMES or name.endswith(".localhost")


def is_own_origin(origin: str | None) -> bool:
    """Whether an `Origin` header names a page of this machine; true without one, as programs send none."""
    if origin is None:
        return True
    name = _name(origin)
    return name in NAMES or name.endswith(".localhost") or (_is_address(name) and _is_loopback(name))


def refusal(host: str | None, origin: str | None, allowed: Collection[str] = ()) -> str:
    """Return why a request is refused, or an empty text if it is not.

    Args:
        host: its `Host` header.
        origin: its `Origin` header.
        allowed: other origins that may call, as written in the header.
    """
    if not is_own_host(host):
        return "This server must be called by its address or as localhost."
    if not is_own_origin(origin) and origin not in allowed:
        return "This server does not accept requests from web pages of other origins."
    return ""


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return ipaddress.ip_address(name).is_loopback
