"""Answers as the client accepts them: compressed or not."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request, Response
from starlette.types import Receive, Scope, Send

from shared.codings import Accepted, accepted, encode

VARY: Final = {"Vary": "Accept-Encoding"}
"""On every answer that may be compressed, whether it is or not, and on the 304 that stands for one."""
MEDIA_TYPE: Final = "application/json"


async def accepted_codings(request: Request) -> Accepted:
    """What the request's ``Accept-Encoding`` asks for."""
    return _accepted(request.scope)


Codings = Annotated[Accepted, Depends(accepted_codings)]


def _accepted(scope: Scope) -> Accepted:
    found = [value for name, value in scope["headers"] if name == b"accept-encoding"]
    return accepted(b",".join(found).decode("latin-1") if found else None)


def encoded(body: bytes, coding: str, headers: dict[str, str]) -> Response:
    """JSON that is in a coding already."""
    return Response(body, 200, headers | VARY | {"Content-Encoding": coding}, MEDIA_TYPE)


class Compressible(Response):
    """JSON, compressed as the request accepts it."""

    media_type = MEDIA_TYPE

    def __init__(self, body: bytes, status: int, headers: dict[str, str] | None) -> None:
        super().__init__(body, status, VARY if headers is None else headers | VARY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, once: it is made for one request."""
        coding = _accepted(scope).choose(len(self.body))
        if coding:
            self.body = encode(bytes(self.body), coding)
            self.headers.update({"Content-Encoding": coding, "Content-Length": str(len(self.body))})
        await super().__call__(scope, receive, send)
