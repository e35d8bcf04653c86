"""The messages endpoint over other caches, written as their documentation shows it, and the floor of all of them.

Each returns the same page, headers and log line for the same requests. It reads from the same store who may read and
which position is the last, and caches the page's messages in memory for 120 s under a key with the positions, so it
serves nothing stale either. The difference is what a cache of objects leaves to do: FastAPI under Mangum reads the
parameters, validates the page by a response model and serializes it for each request. A peer whose package is not
installed is left out (``make bench-setup`` installs them).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Response
from mangum import Mangum
from pydantic import TypeAdapter

from bench.lib.functions import Handler
from shared.domain import permissions
from shared.storage.protocol import Store
from shared.use_cases.fetch_messages import page_version, positions
from shared.web import response_models
from shared.web.conditional import WEAK_ETAG, IfNoneMatch, known_versions
from shared.web.identity import Caller
from shared.web.middleware import RequestMiddleware
from shared.web.queries import FetchMessagesQuery
from shared.web.schemas import ChannelId

PATH: Final = "/v1/channels/{channel_id}/messages"
TTL_SECONDS: Final = 120
Load = Callable[[str, int, int], list[Any]]
"""Reads messages: channel, first and last position."""
Cached = Callable[[str, int, int], Awaitable[list[Any]]]


def over_cashews(load: Load) -> Cached:
    """https://github.com/Krukov/cashews."""
    cache = import_module("cashews").Cache()
    cache.setup("mem://")

    @cache(ttl="2m", key="messages:{channel_id}:{first}:{last}")  # type: ignore[untyped-decorator]  # loaded by name
    async def cached(channel_id: str, first: int, last: int) -> list[Any]:
        return load(channel_id, first, last)

    return cached  # type: ignore[no-any-return]  # loaded by name


def over_dogpile(load: Load) -> Cached:
    """https://dogpilecache.sqlalchemy.org."""
    region = import_module("dogpile.cache").make_region()
    region.configure("dogpile.cache.memory", expiration_time=TTL_SECONDS)
    memoized = region.cache_on_arguments()(load)

    async def cached(channel_id: str, first: int, last: int) -> list[Any]:
        return memoized(channel_id, first, last)  # type: ignore[no-any-return]  # loaded by name

    return cached


PEERS: Final[dict[str, Callable[[Load], Cached]]] = {"cashews": over_cashews, "dogpile": over_dogpile}


def missing() -> list[str]:
    """Peers that are not installed."""
    return [name for name in PEERS if find_spec(name) is None]


def floor(body: bytes) -> Handler:
    """A route that returns these bytes and does nothing else."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    @app.get(PATH)
    async def constant() -> Response:
        return Response(body, media_type="application/json")

    return Mangum(app, lifespan="off")


def handlers(store: Store) -> Iterator[tuple[str, Handler]]:
    """The endpoint over each peer, by name.

    Messages are cached as models, which FastAPI serializes fastest.
    """
    validate = TypeAdapter(list[response_models.Message]).validate_python

    def load(channel_id: str, first: int, last: int) -> list[Any]:
        entries = store.entries(channel_id, first, last)
        return validate([json.loads(each.body) for each in entries if each.body is not None])

    for name, over in PEERS.items():
        if name not in missing():
            yield name, _handler(store, over(load))


def _handler(store: Store, cached: Cached) -> Handler:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_middleware(RequestMiddleware, function="peer")

    @app.get(PATH, response_model=response_models.Page, response_model_exclude_none=True)
    async def fetch_messages(
        caller: Caller,
        channel_id: ChannelId,
        query: Annotated[FetchMessagesQuery, Query()],
        response: Response,
        if_none_match: IfNoneMatch = None,
    ) -> Any:  # noqa: ANN401 - FastAPI makes the response from it
        head, membership = permissions.require_member(store.read_channel_state(channel_id, caller))
        window = query.window()
        version = page_version(head, head.seq, window, membership)
        headers = {"ETag": WEAK_ETAG % version, "Cache-Control": "private, no-cache"}
        if version in known_versions(if_none_match):
            return Response(None, 304, headers)
        first, last = positions(window, head, membership)
        response.headers.update(headers)
        return {
            "channel_id": head.channel_id,
            "messages": await cached(channel_id, first, last),
            "first_seq": first,
            "last_seq": last,
            "channel_last_seq": head.seq,
            "channel_last_rev": head.rev,
            "has_more_before": first > 1,
            "has_more_after": last < head.seq,
        }

    return Mangum(app, lifespan="off")
