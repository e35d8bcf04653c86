"""Failures as problem documents."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.domain.errors import (
    BatchTooLargeError,
    CommitUnknownError,
    ContentionError,
    MisconfiguredError,
    RateLimitedError,
    StoreThrottledError,
    StoreUnavailableError,
    every_error,
)
from shared.domain.rate_limit import Rate, decide
from shared.storage.memory import MemoryStore
from shared.web.app import create_app, create_handler, current_services
from shared.web.problems import problem
from tests.api import Api, event
from tests.cases import case
from tests.functions.refusals import ROUTES, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bootstrap import Services
    from shared.domain.model import ChannelState, Head, Member, Membership

ROOT: Final = Path(__file__).resolve().parents[3]
SECRET = "what ada said to grace"
CHANNEL = "0" * 16


class FailingStore(MemoryStore):
    """A storage in which every read fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:  # noqa: ARG002 - as the real one
        """Fails."""
        raise self.error

    def memberships(self, user_id: str) -> list[Membership]:  # noqa: ARG002 - as the real one
        """Fails."""
        raise self.error

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:  # noqa: ARG002 - as above
        """Fails."""
        raise self.error

    def create_channel(self, head: Head, memberships: Any) -> Head | None:  # noqa: ARG002 - as the real one
        """Fails."""
        raise self.error

    def ping(self) -> None:
        """Fails."""
        raise self.error


def crash() -> Exception:
    """An unforeseen error with a text in it and in its cause."""
    error = RuntimeError(SECRET)
    error.__cause__ = ValueError(SECRET)
    error.add_note(SECRET)
    return error


def failing(services: Services, error: Exception) -> Api:
    """The API over a storage that fails."""
    return Api(replace(services, store=FailingStore(error)))


ASKING = [route for route in ROUTES if route.name != "check_health"]


@pytest.mark.parametrize("route", ASKING, ids=str)
def test_a_crash_is_one_json_500(services: Services, route: Route) -> None:
    """What nobody foresaw is told of without a stack trace, a file name, or the error's own text."""
    response = failing(services, crash())(route.method, route.path(CHANNEL), body=route.body)
    assert response.status == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json == {
        "type": "urn:budgie:error:internal_error",
        "title": "Internal error",
        "status": 500,
        "code": "internal_error",
        "detail": "An unexpected error occurred; the request may or may not have had an effect.",
        "request_id": "request-1",
        "retryable": True,
    }
    assert response.headers["x-request-id"] == "request-1"
    assert "server-timing" in response.headers


def test_a_crash_is_one_line_beside_the_requests(
    services: Services, log: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    """The `crash` line says what and where, not the error's text, which may quote a message."""
    caplog.set_level(logging.DEBUG)
    before = len(log())
    failing(services, crash())("POST", f"/v1/channels/{CHANNEL}/messages", body={"text": SECRET})
    crashed, request = log()[before:]
    assert (crashed["message"], crashed["level"], crashed["error"]) == ("crash", "ERROR", "RuntimeError")
    assert crashed["frames"][-1].endswith(" read_channel_state")
    assert crashed["request_id"] == request["request_id"] == "request-1"
    assert (request["message"], request["status"], request["code"]) == ("request", 500, "internal_error")
    assert SECRET not in str(log())
    assert SECRET not in caplog.text


def test_services_that_cannot_be_made_are_a_500(log: Callable[[], list[dict[str, Any]]]) -> None:
    """Settings that cannot be used are an error for the operator, not a silent failure."""
    app = create_app("tested")

    async def broken() -> Services:
        raise ValueError(SECRET)

    @app.get("/v1/healthz")
    async def healthy() -> None:
        await broken()

    app.dependency_overrides[current_services] = broken
    before = len(log())
    response = create_handler(app)(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # nobody looks at it
    assert response["statusCode"] == 500
    assert SECRET not in response["body"]
    assert [line["message"] for line in log()[before:]] == ["crash", "request"]


def test_a_storage_that_fails_is_a_503_to_repeat(services: Services) -> None:
    """The response is retryable and has a `Retry-After`."""
    for route in ASKING:
        with case(route):
            for kind in [StoreUnavailableError, StoreThrottledError]:
                with case(kind):
                    response = failing(services, kind(retry_after=0.2))(
                        route.method, route.path(CHANNEL), body=route.body
                    )
                    assert (response.status, response.code, response.json["retryable"]) == (
                        503,
                        kind.code,
                        True,
                    )
                    assert response.headers["retry-after"] == "1"


# --- the tree of errors ---


def test_every_error_has_a_document() -> None:
    """Each error's class alone says all that its document needs."""
    for error in every_error():
        with case(error):
            response = problem(error(), "id-1")
            assert response.status_code == error.status
            assert response.media_type == "application/problem+json"
            assert error().detail.endswith((".", "first", "Idempotency-Key"))


def test_an_error_of_the_rate_limit_has_its_headers() -> None:
    """What the verdict says is in the refusal's headers; so is the most that a batch may have."""
    refused = problem(RateLimitedError(verdict=decide(Rate(200, 2), 1_400, 1_000)), "id-1").headers
    names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after")
    assert [refused[name] for name in names] == ["2", "0", "1", "1"]
    assert problem(BatchTooLargeError(limit=25), "id-1").headers["ratelimit-limit"] == "25"


DOCUMENTS = """
import json
from shared.domain.errors import every_error
from shared.web.problems import problem
print(json.dumps({error.__name__: problem(error(), "id-1").body.decode() for error in every_error()}))
"""


def test_every_error_has_the_same_document_without_docstrings() -> None:
    """Its text is data: ``python -OO``, which drops docstrings, changes no response."""
    command = [sys.executable, "-OO", "-c", DOCUMENTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert json.loads(done.stdout) == {
        error.__name__: bytes(problem(error(), "id-1").body).decode() for error in every_error()
    }


def test_every_error_has_a_text_of_its_own() -> None:
    """No class goes by its parent's, and an instance may say more."""
    for error in every_error():
        with case(error):
            assert "detail" in vars(error)
            assert error("More.").detail == str(error("More.")) == "More."
            assert error().detail == str(error()) == vars(error)["detail"]


def test_codes_are_unique_and_stable_words() -> None:
    """A program can decide by the code alone."""
    codes = [error.code for error in every_error() if "code" in vars(error)]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_retryable_says_whether_repeating_may_help() -> None:
    """What is the caller's to change is not retryable; what passes by itself is."""
    for error in every_error():
        passes = error.status in {429, 500, 503} and error is not MisconfiguredError
        assert error.retryable == passes, error


def test_retry_after_is_in_whole_seconds() -> None:
    """HTTP has no fractions here; a wait is rounded up, never to nothing."""
    for error in (ContentionError(retry_after=0.01), CommitUnknownError(retry_after=1)):
        assert problem(error, "id-1").headers["retry-after"] == "1"
