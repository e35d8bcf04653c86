"""The peer: the usual cache in front of a database, built fairly. TTL, and ``DEL`` after each post.

Pages live 120 s, lists 300 s, in Redis; memory stands in while Redis fails. Each read checks the membership in DynamoDB
(a cache cannot decide access). A post deletes the channel's latest page and the lists of all members with one command.
Same codec, same client, same frameworks, the same JSON.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from backports import zstd
from fastapi import Depends, Query, Response

from bench.lib.simulated import MeteredStore, SimUpstash
from shared.cache.pages import page_json
from shared.cache.upstash import RedisError
from shared.domain import permissions
from shared.domain.channels import channel_json
from shared.domain.messages import dumps
from shared.domain.model import ChannelState
from shared.storage.log_reader import DirectLogReader
from shared.use_cases.fetch_messages import positions
from shared.web.app import create_app
from shared.web.identity import Caller
from shared.web.queries import FetchMessagesQuery
from shared.web.responses import json_response
from shared.web.schemas import ChannelId

TTL_MESSAGES: Final = 120
TTL_CHANNELS: Final = 300
LEVEL: Final = 3


@dataclass
class PeerServices:
    """One container's parts."""

    store: MeteredStore
    reader: DirectLogReader
    redis: SimUpstash
    now: Any
    memory: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)

    def get(self, key: str, kind: str) -> bytes | None:
        """From Redis, or from memory while it fails."""
        try:
            text = self.redis.execute(f"get_{kind}", "GET", key)
            found = None if text is None else zstd.decompress(base64.b64decode(text))
        except RedisError:
            value, until = self.memory.get(key, (None, 0.0))
            found = value if self.now() < until else None
        self._count(kind, hit=found is not None)
        return found

    def put(self, key: str, kind: str, value: bytes, seconds: int) -> None:
        """To both."""
        self.memory[key] = (value, self.now() + seconds * 1000)
        text = base64.b64encode(zstd.compress(value, LEVEL)).decode()
        try:
            self.redis.execute(f"put_{kind}", "SET", key, text, "EX", seconds)
        except RedisError:
            return

    def posted(self, channel_id: str, members: list[str]) -> None:
        """After a post: what may be cached of it is wrong now."""
        keys = [f"m:{channel_id}", *(f"c:{member}" for member in members)]
        for key in keys:
            self.memory.pop(key, None)
        try:
            self.redis.execute("del", "DEL", *keys)
        except RedisError:
            return

    def _count(self, kind: str, *, hit: bool) -> None:
        self.hits[f"{kind}.{'hit' if hit else 'miss'}"] += 1


async def peer_services() -> PeerServices:
    """Overridden for each container."""
    raise LookupError


ServicesDep = Annotated[PeerServices, Depends(peer_services)]
list_app = create_app("list_channels")
fetch_app = create_app("fetch_messages")


@list_app.get("/v1/channels")
async def list_channels(services: ServicesDep, caller: Caller) -> Response:
    """The caller's channels, possibly as they were up to 300 s ago."""
    found = services.get(f"c:{caller}", "channels")
    if found is None:
        memberships = services.store.memberships(caller)
        heads = services.store.heads(each.channel_id for each in memberships)
        channels = [channel_json(heads[each.channel_id], each) for each in memberships]
        found = dumps({"channels": sorted(channels, key=lambda each: each["id"])})
        services.put(f"c:{caller}", "channels", found, TTL_CHANNELS)
    return json_response(found)


@fetch_app.get("/v1/channels/{channel_id}/messages")
async def fetch_messages(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    query: Annotated[FetchMessagesQuery, Query()],
) -> Response:
    """A page, possibly as it was up to 120 s ago."""
    membership = services.store.membership(channel_id, caller)
    assert membership is not None
    window = query.window()
    place = "" if window.before is None else f":{window.before}"
    # What begins at the caller's own position is of no use to others.
    key = f"m:{channel_id}{place}" if window.anchor == "latest" else None
    found = services.get(key, "pages") if key else None
    if found is None:
        state = services.store.read_channel_state(channel_id, caller)
        found = _page(services, state, query)
        if key:
            services.put(key, "pages", found, TTL_MESSAGES)
    return json_response(found)


def _page(services: PeerServices, state: ChannelState, query: FetchMessagesQuery) -> bytes:
    head, membership = permissions.require_member(state)
    first, last = positions(query.window(), head, membership)
    span = services.reader.read(head, first, last)
    return page_json(head, span, has_more_after=span.last < head.seq)
