"""A function called as Lambda calls it: by one container, one event after another."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI

from bench.contending.shift import Shift, Tally
from bench.fleet import Answer, Container, Function, event
from shared.services import Services
from shared.web.app import current_services


class Caller:
    """Calls a function on a shift's channel as its user, and counts the answers 503 in its tally."""

    def __init__(self, app: FastAPI, services: Services, shift: Shift, tally: Tally) -> None:
        self._function = Function(app, current_services, lambda: services)
        self._container = Container(services)
        self._path = f"/v1/channels/{shift.channel}/messages"
        self._user = shift.user
        self._tally = tally

    def call(
        self, method: str, success: HTTPStatus, query: str = "", body: object = None, key: str = ""
    ) -> Answer | None:
        """The answer; None where it is 503, the one that a client repeats, after ``Retry-After``.

        Raises:
            AssertionError: it is neither success nor 503.
        """
        made = event(method, self._path, self._user, query, body)
        if key:
            made["headers"]["idempotency-key"] = key
        answer = self._function.invoke(self._container, made)
        if answer.status == success:
            return answer
        assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE, f"{method}: {answer.status} {answer.body}"
        self._tally.refused += 1
        return None
