"""The same endpoint over other people's caches, written as their documentation shows it.

Each answers the same requests with the same page, headers and log line. It looks in the same storage who may read and
which position is the last, and keeps the page's messages in memory for 120 s under a key with the positions; so it too
serves nothing stale. What differs is what a cache of objects leaves to do: the page is made into JSON for each request,
by FastAPI under Mangum, as anybody has them, from parameters that FastAPI read. A peer whose package is not installed
is left out (``make bench-setup`` installs them).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from mangum import Mangum
from pydantic import BaseModel, TypeAdapter

from bench.lib.functions import Handler
from shared.domain import permissions
from shared.domain.model import Head
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
BARE: Final = "bare"
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


def over_aiocache(load: Load) -> Cached:
    """https://aiocache.aio-libs.org."""
    aiocache = import_module("aiocache")

    def key_of(_function: object, channel_id: str, first: int, last: int) -> str:
        return f"messages:{channel_id}:{first}:{last}"

    @aiocache.cached(ttl=TTL_SECONDS, key_builder=key_of)  # type: ignore[untyped-decorator]  # loaded by name
    async def cached(channel_id: str, first: int, last: int) -> list[Any]:
        return load(channel_id, first, last)

    return cached  # type: ignore[no-any-return]  # loaded by name


def over_dogpile(load: Load) -> Cached:
    """https://dogpilecache.sqlalchemy.org."""
    region = import_module("dogpile.cache").make_region()
    region.configure("dogpile.cache.memory", expiration_time=TTL_SECONDS)
    remembered = region.cache_on_arguments()(load)

    async def cached(channel_id: str, first: int, last: int) -> list[Any]:
        return remembered(channel_id, first, last)  # type: ignore[no-any-return]  # loaded by name

    return cached


PEERS: Final[dict[str, Callable[[Load], Cached]]] = {
    "cashews": over_cashews,
    "aiocache": over_aiocache,
    "dogpile": over_dogpile,
}


def mangum(app: FastAPI) -> Handler:
    """An app under Mangum, as anybody has them."""
    return Mangum(app, lifespan="off")


def missing() -> list[str]:
    """Peers that are not installed."""
    return [name for name in PEERS if find_spec(name) is None]


def handlers(store: Store) -> Iterator[tuple[str, Handler]]:
    """For each peer, the endpoint in each of its forms.

    - dict: returns the cached messages and leaves the rest to FastAPI, as the caches' documentation shows it;
    - model: keeps messages as models, for FastAPI to write by a response model, which is FastAPI's fastest way;
    - bare: as model, but nothing beside the page: no log line, no ``ETag``, two parameters. Not the same endpoint.
    """
    for name, over in PEERS.items():
        if name not in missing():
            yield f"{name}, dict", _handler(store, over(_dicts(store)), None)
            yield f"{name}, model", _handler(store, over(_models(store)), response_models.Page)
            yield f"{name}, {BARE}", _bare_handler(store, over(_models(store)))


def _dicts(store: Store) -> Load:
    def load(channel_id: str, first: int, last: int) -> list[Any]:
        return [
            json.loads(each.body) for each in store.entries(channel_id, first, last) if each.body is not None
        ]

    return load


def _models(store: Store) -> Load:
    load, validate = _dicts(store), TypeAdapter(list[response_models.Message]).validate_python
    return lambda channel_id, first, last: validate(load(channel_id, first, last))


def _page(head: Head, messages: list[Any], first: int, last: int) -> dict[str, Any]:
    return {
        "channel_id": head.channel_id,
        "messages": messages,
        "first_seq": first,
        "last_seq": last,
        "channel_last_seq": head.seq,
        "has_more_before": first > 1,
        "has_more_after": last < head.seq,
    }


def _handler(store: Store, cached: Cached, model: type[BaseModel] | None) -> Handler:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_middleware(RequestMiddleware, function="peer")

    @app.get(PATH, response_model=model, response_model_exclude_none=True)
    async def fetch_messages(
        caller: Caller,
        channel_id: ChannelId,
        query: Annotated[FetchMessagesQuery, Query()],
        response: Response,
        if_none_match: IfNoneMatch = None,
    ) -> Any:  # noqa: ANN401 - FastAPI makes the answer of it
        head, membership = permissions.require_member(store.read_channel_state(channel_id, caller))
        window = query.window()
        version = page_version(head, head.seq, window, membership)
        headers = {"ETag": WEAK_ETAG % version, "Cache-Control": "private, no-cache"}
        if version in known_versions(if_none_match):
            return Response(None, 304, headers)
        first, last = positions(window, head, membership)
        page = _page(head, await cached(channel_id, first, last), first, last)
        response.headers.update(headers)
        return page

    return mangum(app)


def _bare_handler(store: Store, cached: Cached) -> Handler:
    app = FastAPI(openapi_url=None, redirect_slashes=False)

    @app.get(PATH, response_model=response_models.Page, response_model_exclude_none=True)
    async def fetch_messages(request: Request, channel_id: str, limit: int = 50) -> Any:  # noqa: ANN401 - as above
        user_id = request.scope["aws.event"]["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
        head, _ = permissions.require_member(store.read_channel_state(channel_id, user_id))
        first = max(1, head.seq - limit + 1)
        return _page(head, await cached(channel_id, first, head.seq), first, head.seq)

    return mangum(app)
