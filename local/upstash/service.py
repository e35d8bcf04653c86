"""The local Upstash endpoint's responses, without HTTP connections and faults."""

from __future__ import annotations

import hmac
from typing import Final, Literal

from local.gateway.wire import Request, Response
from local.upstash.commands import Executor
from local.upstash.resp import Failure
from local.upstash.wire import (
    MAX_BYTES,
    RequestError,
    Style,
    answer_all,
    answer_one,
    error_answer,
    parameters,
    read_command,
    read_commands,
    read_path,
    size_error,
    style_of,
)

Role = Literal["full", "read"]
METHODS: Final = frozenset({"HEAD", "GET", "POST", "PUT"})
UNAUTHORIZED: Final = error_answer("WRONGPASS invalid or missing auth token", 401)


class Service:
    """Checks the token, parses the command, runs it, and writes the response; thread-safe.

    Args:
        executor: Runs the commands.
        token: Allows everything.
        read_only_token: Allows commands that only read; None if there is no such token.
    """

    def __init__(self, executor: Executor, token: str, read_only_token: str | None) -> None:
        self.executor = executor
        self._tokens: list[tuple[bytes, Role]] = [(token.encode(), "full")]
        if read_only_token:
            self._tokens.append((read_only_token.encode(), "read"))

    def role(self, request: Request) -> Role | None:
        """The rights of the request's token; `?_token=` precedes the header, and "Bearer" is optional."""
        header = (request.header("authorization") or "").strip()
        sent = header[7:].strip() if header[:7].lower() == "bearer " else header
        presented = dict(parameters(request)).get(b"_token") or sent.encode()
        for token, role in self._tokens:
            if hmac.compare_digest(token, presented):
                return role
        return None

    def respond(self, request: Request) -> Response:
        """Run the request and return its outcome; never raises."""
        if request.method not in METHODS:
            return Response(405)
        role = self.role(request)
        if role is None:
            return UNAUTHORIZED
        if request.method == "HEAD":
            return Response(200)
        try:
            return self._run(request, read_only=role == "read")
        except RequestError as error:
            return error_answer(str(error))
        except OSError:
            return error_answer("ERR the Redis server behind this endpoint cannot be reached", 502)

    def _run(self, request: Request, *, read_only: bool) -> Response:
        if len(request.body) > MAX_BYTES:
            raise RequestError(size_error(len(request.body)))
        style = style_of(request)
        match request.path:
            case "/pipeline":
                return answer_all(
                    self.executor.pipeline(read_commands(request.body), read_only=read_only), style
                )
            case "/multi-exec":
                if style is Style.RESP2:
                    style = Style.TEXT  # transactions always have a JSON response
                replies = self.executor.transaction(read_commands(request.body), read_only=read_only)
                return (
                    answer_one(replies, style) if isinstance(replies, Failure) else answer_all(replies, style)
                )
            case "" | "/":
                command = read_command(request.body)
            case _:
                command = read_path(request)
        return answer_one(self.executor.single(command, read_only=read_only), style)
