"""The common cache in front of a database, to compare with: a time to live, and ``DEL`` after each post.

Pages live 120 s and lists 300 s in Redis. Each read checks the
membership in DynamoDB, as a cache cannot decide access. A post deletes the channel's latest page and the lists of all
members with one command. It uses the same codec, client and JSON as Budgie, but runs without FastAPI, so its CPU time
is lower than that of a real function.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from backports import zstd

from bench.lib.functions import Ask, Reply
from bench.lib.simulated import MeteredStore, SimUpstash
from shared.cache.pages import page_json
from shared.domain import permissions
from shared.domain.channels import channel_json
from shared.domain.messages import dumps
from shared.storage.log_reader import DirectLogReader
from shared.use_cases.fetch_messages import positions
from shared.web.queries import FetchMessagesQuery

TTL_PAGES: Final = 120
TTL_LISTS: Final = 300
LEVEL: Final = 3
FREE: Final = {"server-timing": "read=0 write=0"}
"""Headers of a response; what the store charges is counted by the request's meter."""


class TtlDel:
    """One container."""

    def __init__(self, store: MeteredStore, redis: SimUpstash, now: Callable[[], int]) -> None:
        self._store, self._redis = store, redis
        self._reader = DirectLogReader(store, lambda _: None, now)

    def serve(self, ask: Ask) -> Reply:
        """Lists the caller's channels, as they were up to 300 s ago, or reads a page, as it was up to 120 s ago."""
        url, started = urlsplit(ask.target), time.perf_counter()
        if url.path == "/v1/channels":
            body = self._list(ask.user)
        else:
            body = self._page(ask.user, url.path.split("/")[3], dict(parse_qsl(url.query)))
        return Reply(200, FREE, body, ms=(time.perf_counter() - started) * 1000)

    def posted(self, channel_id: str, members: Iterable[str]) -> None:
        """Deletes what a post has made stale."""
        keys = [f"m:{channel_id}", *(f"c:{member}" for member in members)]
        self._redis.execute("del", "DEL", *keys)

    def _list(self, user: str) -> bytes:
        found = self._get(f"c:{user}", "channels")
        if found is None:
            memberships = self._store.memberships(user)
            heads = self._store.heads(each.channel_id for each in memberships)
            channels = [channel_json(heads[each.channel_id], each) for each in memberships]
            found = dumps({"channels": sorted(channels, key=lambda each: each["id"])})
            self._put(f"c:{user}", "channels", found, TTL_LISTS)
        return found

    def _page(self, user: str, channel_id: str, query: dict[str, str]) -> bytes:
        assert self._store.membership(channel_id, user)
        window = FetchMessagesQuery.model_validate(query).window()
        # Pages that begin at the caller's own position are of no use to others.
        place = "" if window.before is None else f":{window.before}"
        key = f"m:{channel_id}{place}" if window.anchor == "latest" else None
        found = self._get(key, "pages") if key else None
        if found is None:
            state = self._store.read_channel_state(channel_id, user)
            head, membership = permissions.require_member(state)
            span = self._reader.read(head, *positions(window, head, membership))
            found = page_json(head, span, has_more_after=span.last < head.seq)
            if key:
                self._put(key, "pages", found, TTL_PAGES)
        return found

    def _get(self, key: str, kind: str) -> bytes | None:
        text = self._redis.execute(f"get_{kind}", "GET", key)
        found = None if text is None else zstd.decompress(base64.b64decode(text))
        self._redis.metrics.read(kind, "miss" if found is None else "redis")
        return found

    def _put(self, key: str, kind: str, value: bytes, seconds: int) -> None:
        text = base64.b64encode(zstd.compress(value, LEVEL)).decode()
        self._redis.execute(f"put_{kind}", "SET", key, text, "EX", seconds)
