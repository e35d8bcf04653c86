"""Searches for data that leaked into responses, log lines, Redis or memory."""

from __future__ import annotations

import base64
import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.cache.blocks import Block
from shared.observability.telemetry import logger
from tests.blocks import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shared.cache.blocks import Cached
    from tests.security.tenants import Sent, Tenant

ROOT: Final = logging.getLogger()


def in_answers(sent: Iterable[Sent], tenants: Sequence[Tenant]) -> list[str]:
    """Responses with the marker of another tenant."""
    return [
        f"{each.request['method']} {each.request['path']} shows {stranger.marker} to {each.tenant.marker}"
        for each in sent
        for stranger in tenants
        if stranger is not each.tenant and stranger.marker in each.text
    ]


def in_text(text: str, tenants: Sequence[Tenant], *more: str) -> list[str]:
    """Lines with any marker or other secret: as it is, or in base64 at any offset."""
    wanted = [each.marker for each in tenants] + list(more)
    forms = {form for each in wanted for form in (each, *_in_base64(each))}
    return [line for line in text.splitlines() if any(form in line for form in forms)]


def in_redis(values: Mapping[str, Any], tenants: Sequence[Tenant], *, encrypted: bool = False) -> list[str]:
    """Keys with a marker; values with a marker of another tenant, or with any marker if they are encrypted."""
    found = in_text("\n".join(values), tenants)
    for key, text in values.items():
        if encrypted:
            raw = base64.b64decode(str(text)[3:]).decode("latin-1")
            found += in_text(f"{text}\n{raw}", tenants)
        else:
            found += [f"{key}: {each}" for each in in_values(unpacked(text), tenants)]
    return found


def in_values(values: Mapping[str, Cached], tenants: Sequence[Tenant]) -> list[str]:
    """Blocks with a marker of another tenant than their channel's."""
    owners = {channel: each for each in tenants for channel in each.channels}
    found = []
    for key, value in values.items():
        if isinstance(value, Block):
            owner = owners[key[1:].partition(".")[0]]
            said = b"".join(body or b"" for body in value.bodies).decode()
            strangers = [each.marker for each in tenants if each is not owner and each.marker in said]
            found += [f"{key} of {owner.marker} holds {marker}" for marker in strangers]
    return found


def _in_base64(text: str) -> Iterator[str]:
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + text.encode()).decode().rstrip("=")
        yield encoded[(0, 2, 3)[offset] + 1 : -1]


@contextmanager
def captured(level: int = logging.DEBUG) -> Iterator[io.StringIO]:
    """All that is logged by anybody, as Lambda's log gets it: ours from this level on, the libraries' warnings."""
    stream = io.StringIO()
    ours, theirs = logging.StreamHandler(stream), logging.StreamHandler(stream)
    ours.setFormatter(logger().handlers[0].formatter)
    theirs.addFilter(lambda record: record.name != "budgie")
    theirs.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    budgie = logging.getLogger("budgie")
    levels = ROOT.level, budgie.level
    budgie.addHandler(ours)
    ROOT.addHandler(theirs)
    ROOT.setLevel(logging.WARNING)
    budgie.setLevel(level)
    try:
        yield stream
    finally:
        budgie.removeHandler(ours)
        ROOT.removeHandler(theirs)
        ROOT.setLevel(levels[0])
        budgie.setLevel(levels[1])
