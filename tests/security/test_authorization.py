"""Authorization: every cell of ``docs/authorization.yaml``, by real events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.template.load import WHOLE, load
from shared.bootstrap import compose
from shared.storage.memory import MemoryStore
from tests.api import SETTINGS
from tests.cases import case
from tests.functions.chat import Chat
from tests.functions.refusals import assert_refused, state
from tests.security.people import ATTEMPTS, PEOPLE, channel_of, outcome
from tools import authorization
from tools.authorization import Act, Matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.api import Api
    from tests.conftest import FakeClock

ROOT: Final = Path(__file__).resolve().parents[2]
MATRIX: Final = authorization.load()
CELLS: Final = list(MATRIX.cells())
DOCUMENT: Final[dict[str, Any]] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))


def operations(document: Mapping[str, Any]) -> dict[str, str]:
    """The operation of each route."""
    return {
        f"{method.upper()} {path}": each["operationId"]
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }


def lacking(matrix: Matrix, document: Mapping[str, Any], routes: set[str]) -> set[str]:
    """Routes of the template or the document without a row, and rows without a route."""
    known = operations(document)
    rows = {route for route, operation in known.items() if operation in matrix.operations}
    return (routes ^ rows) | (set(known) ^ rows) | (set(matrix.operations) - set(known.values()))


def routes_of_the_template() -> set[str]:
    """As API Gateway knows them."""
    return {route.key for route in load(ROOT / "template.yaml", WHOLE).routes}


def fresh(api: Api, clock: FakeClock) -> tuple[Chat, MemoryStore]:
    """The API over an empty storage."""
    store = MemoryStore()
    api.services = compose(SETTINGS, store, clock.now, clock.sleep)
    return Chat(api, clock), store


def test_every_route_has_its_row() -> None:
    """The table has exactly the routes of the template and of the OpenAPI document."""
    assert lacking(MATRIX, DOCUMENT, routes_of_the_template()) == set()
    assert set(MATRIX.callers) == set(PEOPLE)
    assert {act.name: act.operation for act in MATRIX.acts} == {
        name: attempt.operation for name, attempt in ATTEMPTS.items()
    }


def test_a_route_without_a_row_is_found() -> None:
    """A route that is added to the template or the document, or a row that is removed, is reported."""
    routes = routes_of_the_template()
    assert lacking(MATRIX, DOCUMENT, routes | {"GET /v1/new"}) == {"GET /v1/new"}
    added = {"paths": DOCUMENT["paths"] | {"/v1/new": {"get": {"operationId": "new"}}}}
    assert lacking(MATRIX, added, routes) == {"GET /v1/new"}
    acts = [act for act in MATRIX.acts if act.operation != "mark_read"]
    without = Matrix(MATRIX.tokens, MATRIX.open, MATRIX.callers, acts)
    assert lacking(without, DOCUMENT, routes) == {"PUT /v1/channels/{channel_id}/read"}


def test_open_routes_are_the_templates() -> None:
    """The table's open operations are the routes that API Gateway lets in without a token."""
    known = operations(DOCUMENT)
    unguarded = {
        known[route.key] for route in load(ROOT / "template.yaml", WHOLE).routes if not route.authorized
    }
    assert unguarded == MATRIX.open


def test_the_document_has_the_tables() -> None:
    """The tables of `docs/security.md` are those that the declaration generates."""
    assert authorization.main(["--check"]) == 0


@pytest.mark.parametrize("act", MATRIX.acts, ids=str)
def test_a_caller_gets_what_the_table_says(api: Api, clock: FakeClock, act: Act) -> None:
    """Status and code, or what is listed; a refusal is a complete problem document and changes nothing."""
    attempt = ATTEMPTS[act.name]
    for cell_act, kind, caller, expected in CELLS:
        if cell_act is act:
            with case(kind, caller):
                chat, store = fresh(api, clock)
                channel = channel_of(chat, kind, archived=caller == "owner of an archived one")
                before = state(store)
                response = attempt.by(chat, PEOPLE[caller], channel)
                assert outcome(attempt, response, channel) == expected
                if response.status >= 400:
                    assert_refused(response, response.status)
                    assert state(store) == before


def test_a_caller_without_claims_is_refused(chat: Chat, store: MemoryStore) -> None:
    """An event without verified claims is a 401 of the function too, except on open routes."""
    channel = channel_of(chat, "public")
    before = state(store)
    for act in MATRIX.acts:
        attempt = ATTEMPTS[act.name]
        path = attempt.path.replace("{c}", channel)
        with case(act.name):
            response = chat.api(attempt.method, path, user=None, body=attempt.body, query=attempt.query)
            assert response.status == (401 if MATRIX.refuses(act.operation) else 200)
            assert state(store) == before
